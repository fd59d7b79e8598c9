"""Settings from `CAPCTL_*` variables.

`CAPCTL_REGION` sets `region` of the target, `CAPCTL_SMOKE__TIMEOUT_S` sets `smoke.timeout_s`: two underscores step into a
section. Entries of a mapping keep their case (`CAPCTL_RELEASE__ENVIRONMENT__DATABASE_URL`). Text is taken as it stands, a list is
`a,b` or `[a, b]`, anything else is read as YAML. An empty variable counts as absent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from lifecycle.config.document import KeyPath, Mistake, odd_character
from lifecycle.config.keys import Key, Kind, known_keys
from lifecycle.config.schema import TargetSection
from lifecycle.config.suggest import near
from lifecycle.config.validate import complaints

_PREFIX = "CAPCTL_"
_STEP = "__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """What the environment sets: nested values, and the variable behind each path."""

    values: dict[str, Any]
    names: dict[KeyPath, str]
    mistakes: tuple[Mistake, ...]


def variable_name(path: tuple[str, ...]) -> str:
    """The variable that sets the key at `path` of a target."""
    return _PREFIX + _STEP.join(part.upper() for part in path)


def read_variables(environment: Mapping[str, str]) -> Variables:
    """Every setting in `environment`, validated; a variable with `__` that sets nothing is a mistake."""
    values: dict[str, Any] = {}
    names: dict[KeyPath, str] = {}
    mistakes: list[Mistake] = []
    for variable in sorted(environment):
        if not variable.startswith(_PREFIX) or not environment[variable]:
            continue
        found = _find(variable)
        if found is None:
            if _STEP in variable:
                mistakes.append(_unknown(variable))
            continue
        if problem := odd_character(environment[variable]):
            mistakes.append(Mistake(where=variable, text=problem, hint=f"Correct or unset {variable}"))
            continue
        path, key = found
        names[path] = variable
        _put(values, path, _read(environment[variable], key, path))
    for complaint in complaints(TargetSection, values, lambda path: environment.get(names.get(path, ""))):
        if not complaint.missing:  # what no variable sets, the file does
            culprit = names[tuple(part for part in complaint.path if isinstance(part, str))]
            mistakes.append(Mistake(where=culprit, text=complaint.text, hint=f"Correct or unset {culprit}"))
    return Variables(values=values, names=names, mistakes=tuple(mistakes))


def _find(variable: str) -> tuple[tuple[str, ...], Key] | None:
    parts = variable.removeprefix(_PREFIX).split(_STEP)
    known = known_keys(TargetSection)
    lowered = tuple(part.lower() for part in parts)
    key = known.get(lowered)
    if key and key.kind not in (Kind.SECTION, Kind.MAPPING):
        return lowered, key
    mapping = known.get(lowered[:-1])
    if mapping and mapping.kind is Kind.MAPPING and parts[-1]:
        return (*lowered[:-1], parts[-1]), mapping
    return None


def _read(text: str, key: Key, path: tuple[str, ...]) -> Any:
    if key.kind is Kind.TEXT or path != key.path:
        return text
    if key.kind is Kind.LIST and not text.lstrip().startswith("["):
        return tuple(item.strip() for item in text.split(","))
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    return tuple(value) if isinstance(value, list) else value


def _put(values: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        values = values.setdefault(part, {})
    values[path[-1]] = value


def _unknown(variable: str) -> Mistake:
    settable = [variable_name(path) for path, key in known_keys(TargetSection).items() if key.kind is not Kind.SECTION]
    meant = near(variable, settable)
    return Mistake(
        where=variable,
        text="the variable sets nothing that capctl knows" + (f"; did you mean `{meant}`?" if meant else ""),
        hint=f"Unset {variable}" + (f", or set {meant}" if meant else ""),
    )
