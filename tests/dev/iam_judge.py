"""Judge what a policy allows, as IAM would of one that denies nothing."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One action on one resource. `context` has the keys that are known of the request; of others every condition is taken to hold."""

    action: str
    resource: str
    context: Mapping[str, str] = dataclasses.field(default_factory=dict)


def filled_in(document: Mapping[str, Any], *, project: str, account: str, region: str) -> dict[str, Any]:
    """The policy of a project, as `sed` makes it of docs/iam.md."""
    values = {"PROJECT": project, "ACCOUNT": account, "REGION": region}

    def filled(value: Any) -> Any:
        if isinstance(value, str):
            return re.sub("|".join(values), lambda found: values[found[0]], value)
        if isinstance(value, list):
            return [filled(one) for one in value]
        return {filled(name): filled(inner) for name, inner in value.items()}

    return dict(filled(document))


def allows(documents: Iterable[Mapping[str, Any]], asked: Asked) -> bool:
    """Whether one of the statements does."""
    statements = (statement for document in documents for statement in document["Statement"])
    return any(
        asked.action in statement["Action"]
        and any(matches(pattern, asked.resource) for pattern in listed(statement["Resource"]))
        and all(_holds(*condition, asked.context) for condition in _conditions(statement))
        for statement in statements
    )


def matches(pattern: str, resource: str) -> bool:
    """By IAM's wildcards."""
    text = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(text, resource) is not None


def listed(value: str | list[str]) -> list[str]:
    """The values of a member that IAM lets be one or several."""
    return [value] if isinstance(value, str) else value


def _conditions(statement: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    for operator, keys in statement.get("Condition", {}).items():
        for key, value in keys.items():
            yield operator, key, listed(value)


def _holds(operator: str, key: str, values: list[str], context: Mapping[str, str]) -> bool:
    """An empty text stands for a key that the request is known to lack."""
    if key not in context:
        return True
    found = context[key]
    if not found:
        return operator.endswith("IfExists")
    return any(matches(value, found) for value in values)
