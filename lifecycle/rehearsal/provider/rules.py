"""What AWS's provider asks of the inputs of a resource, so that a wrong program fails in its preview."""

import json
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

# How the engine writes a value that is known only after the update.
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What is wrong with the property at a path such as `rules[0].id`."""

    property: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What the values at `path`, such as `rules.id`, must be; "" is the path of all inputs together, and then `names` are blamed."""

    path: str
    holds: Callable[[Any], bool]
    expected: str
    names: str = ""


def one_of(path: str, *values: Any) -> Rule:
    """One of these values."""
    return Rule(path=path, holds=lambda value: value in values, expected=f"must be one of {_listed(values)}")


def within(path: str, low: int, high: int) -> Rule:
    """A number from `low` to `high`."""
    return Rule(path=path, holds=lambda value: low <= value <= high, expected=f"must be from {low} to {high}")


def matching(path: str, pattern: str, what: str) -> Rule:
    """A text of which the pattern fits the whole."""
    fits = re.compile(pattern)
    return Rule(path=path, holds=lambda value: fits.fullmatch(value) is not None, expected=f"must be {what}")


def document(path: str) -> Rule:
    """A JSON object as text."""
    return Rule(path=path, holds=lambda text: isinstance(_parsed(text), dict), expected="must be a JSON object")


def apart(*names: str) -> Rule:
    """At most one of these properties."""
    return Rule(
        path="",
        holds=lambda inputs: sum(inputs.get(name) not in {None, False} for name in names) < 2,
        expected=f"exclude each other: {_listed(names)}",
        names=names[0],
    )


def failures(
    shape: dict[str, Any],
    inputs: dict[str, Any],
    *,
    applied: Collection[str],
    invented: Collection[str],
    rules: Collection[Rule],
) -> tuple[Failure, ...]:
    """Everything that is wrong with `inputs`; `shape` is the type's part of the schema."""
    found = [*_misshapen(shape, inputs, "")]
    found += [
        Failure(property=name, reason="must be given: this provider invents none")
        for name in sorted(invented)
        if inputs.get(name) is None
    ]
    if not found:
        found += [
            Failure(property=rule.names or rule.path, reason=f"{rule.expected}{_got(value)}")
            for rule in rules
            for value in _values(inputs, rule.path.split(".") if rule.path else [])
            if not rule.holds(value)
        ]
        found += [
            Failure(property=path, reason="is not applied by the rehearsal's provider")
            for path in _unapplied(inputs, "", frozenset(applied))
        ]
    return tuple(found)


@cache
def schema() -> dict[str, dict[str, Any]]:
    """The input properties of each type by its token, as `pulumi_aws` declares them; `python -m tests.dev docs --write` makes the file."""
    read: dict[str, dict[str, Any]] = json.loads(files(__package__).joinpath("schema.json").read_text())
    return read


def _misshapen(shape: Any, value: Any, path: str) -> Iterator[Failure]:
    """Where a value is not what the schema has at its place."""
    if value is None or value == UNKNOWN or shape == "any":
        return
    if isinstance(shape, str):
        is_right = isinstance(value, _TYPES[shape]) and (shape == "boolean" or not isinstance(value, bool))
        if not is_right:
            yield Failure(property=path, reason=f"must be of the type {shape}{_got(value)}")
    elif "items" in shape:
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from _misshapen(shape["items"], item, f"{path}[{index}]")
        else:
            yield Failure(property=path, reason=f"must be a list{_got(value)}")
    elif not isinstance(value, dict):
        yield Failure(property=path, reason=f"must be a mapping{_got(value)}")
    elif "values" in shape:
        for name, item in value.items():
            yield from _misshapen(shape["values"], item, _joined(path, name))
    else:
        yield from _misshapen_object(shape, value, path)


def _misshapen_object(shape: dict[str, Any], value: dict[str, Any], path: str) -> Iterator[Failure]:
    for name in shape["required"]:
        if value.get(name) is None:
            yield Failure(property=_joined(path, name), reason="is required and missing")
    for name, item in value.items():
        if name in shape["properties"]:
            yield from _misshapen(shape["properties"][name], item, _joined(path, name))
        elif not name.startswith("__"):
            yield Failure(property=_joined(path, name), reason="is no property of this resource")


def _unapplied(value: Any, path: str, applied: frozenset[str]) -> Iterator[str]:
    """The paths, without the places in lists, of what nothing is made of."""
    if path in applied or value is None or value == UNKNOWN:
        return
    if isinstance(value, list):
        for item in value:
            yield from _unapplied(item, path, applied)
    elif isinstance(value, dict) and (not path or any(one.startswith(f"{path}.") for one in applied)):
        for name, item in value.items():
            if not name.startswith("__"):
                yield from _unapplied(item, _joined(path, name), applied)
    else:
        yield path


def _values(value: Any, steps: list[str]) -> Iterator[Any]:
    """The known values at a path, those of each item where a list lies on the way."""
    if value is None or value == UNKNOWN:
        return
    if isinstance(value, list):
        for item in value:
            yield from _values(item, steps)
    elif not steps:
        yield value
    elif isinstance(value, dict):
        yield from _values(value.get(steps[0]), steps[1:])


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _listed(values: Collection[Any]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _got(value: Any) -> str:
    return "" if isinstance(value, dict) else f", not `{value}`"


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
