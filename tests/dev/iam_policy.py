"""Policies that allow a set of actions where `tests/dev/iam_scopes.py` says that capctl needs them, and nowhere else."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from textwrap import indent
from typing import Any

from tests.dev.iam_names import TAGGED_AT_CREATION, Scope, made_tagged
from tests.dev.iam_scopes import EVERYWHERE, SCOPES

Statement = dict[str, Any]

# The most that IAM takes, in characters that are no white space: of a managed policy, and of all inline policies of a role.
MANAGED_LIMIT, INLINE_LIMIT = 6_144, 10_240
# Of a line of JSON for people.
_WIDTH = 110
# Of the resources of EC2 they know more kinds than capctl needs of them.
_OF_EVERY_KIND = {"ec2:CreateTags", "ec2:DeleteTags"}


def policy(actions: Collection[str], *, narrowed: Mapping[str, tuple[Scope, ...]] | None = None) -> dict[str, Any]:
    """The policy document; `narrowed` are scopes that count instead of the usual ones. Raises KeyError for an action without a scope.

    What calls of EC2 among `actions` make they may tag at that moment, without which they would be refused.
    """
    scopes = {**SCOPES, **(narrowed or {})}
    needed = {action: scopes[action] for action in sorted({*actions} - EVERYWHERE)}
    if calls := [call for call in TAGGED_AT_CREATION if f"ec2:{call}" in actions]:
        needed["ec2:CreateTags"] = (*needed.get("ec2:CreateTags", ()), *made_tagged(calls))
    statements = [_statement(names, scope) for names, scope in _merged(needed)]
    if everywhere := {*actions} & EVERYWHERE:
        statements.insert(0, _statement(everywhere, Scope(resources=("*",))))
    return {"Version": "2012-10-17", "Statement": statements}


def kind_of(arn: str) -> str:
    """What an ARN is of, such as `ec2:image`; of S3 `s3:bucket` or `s3:object`."""
    _, _, service, _, _, name = arn.split(":", 5)
    if service == "s3":
        return "s3:object" if "/" in name else "s3:bucket"
    return f"{service}:{re.split('[/:]', name)[0]}" if re.search("[/:]", name) else service


def _merged(needed: Mapping[str, tuple[Scope, ...]]) -> Iterator[tuple[set[str], Scope]]:
    """As few statements as allow the same, since an ARN allows nothing to an action that knows nothing of its kind."""
    kinds = {action: {kind_of(arn) for one in scopes for arn in one.resources} for action, scopes in needed.items()}
    own = {(action, one.when): {*one.resources} for action, scopes in needed.items() for one in scopes}

    def knows(action: str, arn: str) -> bool:
        return action in _OF_EVERY_KIND or kind_of(arn) in kinds[action]

    def allows_the_same(names: Collection[str], scope: Scope) -> bool:
        return all({arn for arn in scope.resources if knows(name, arn)} == own[name, scope.when] for name in names)

    merged: list[tuple[set[str], Scope]] = []
    for action, scopes in needed.items():
        for scope in scopes:
            for place, (names, into) in enumerate(merged):
                both = Scope(resources=tuple(sorted({*into.resources, *scope.resources})), when=scope.when)
                if into.when == scope.when and _is_of_one_service(both) and allows_the_same({*names, action}, both):
                    merged[place] = ({*names, action}, both)
                    break
            else:
                merged.append(({action}, scope))
    yield from merged


def _is_of_one_service(scope: Scope) -> bool:
    """A statement about several would be shorter, and nobody could read it."""
    return len({kind_of(arn).split(":")[0] for arn in scope.resources}) == 1


def size(document: Mapping[str, Any]) -> int:
    """As IAM counts it."""
    return len(json.dumps(document, separators=(",", ":")))


def text(document: Mapping[str, Any]) -> str:
    """JSON for people: a list on as few lines as it needs."""
    lines = ["{", f'  "Version": {json.dumps(document["Version"])},', '  "Statement": [']
    blocks = ["\n".join(_lines(statement)) for statement in document["Statement"]]
    return "\n".join([*lines, ",\n".join(blocks), "  ]", "}"])


def _statement(actions: Collection[str], scope: Scope) -> Statement:
    resources: str | list[str] = list(scope.resources) if len(scope.resources) > 1 else scope.resources[0]
    condition: dict[str, dict[str, str | list[str]]] = {}
    for operator, key, value in scope.when:
        condition.setdefault(operator, {})[key] = value if isinstance(value, str) else list(value)
    bound = {"Condition": condition} if condition else {}
    return {"Effect": "Allow", "Action": sorted(actions), "Resource": resources, **bound}


def _lines(statement: Statement) -> Iterator[str]:
    yield "    {"
    members = list(statement.items())
    for name, value in members:
        comma = "," if name != members[-1][0] else ""
        yield from (f"      {line}" for line in f"{json.dumps(name)}: {_value(value)}{comma}".splitlines())
    yield "    }"


def _value(value: Any) -> str:
    """On one line if it is short, else a list in lines that are full, and of an object each member on its own."""
    whole = json.dumps(value)
    if len(whole) <= _WIDTH or isinstance(value, str):
        return whole
    if isinstance(value, dict):
        members = ",\n".join(f"{json.dumps(name)}: {_value(inner)}" for name, inner in value.items())
        return f"{{\n{indent(members, '  ')}\n}}"
    lines = [""]
    for number, one in enumerate(value):
        word = json.dumps(one) + ("," if number < len(value) - 1 else "")
        if lines[-1] and len(lines[-1]) + len(word) > _WIDTH:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return "\n".join(["[", *(f"  {line}" for line in lines), "]"])
