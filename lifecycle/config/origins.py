"""Where each value came from."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lifecycle.config.document import KeyPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A value in effect, passwords masked. `origin` is `default`, `capctl.yaml:4:27 targets.dev`, or the name of a variable."""

    name: str
    value: Any
    origin: str

    @property
    def shown(self) -> str:
        """The value as one line."""
        match self.value:
            case None:
                return "-"
            case bool():
                return str(self.value).lower()
            case tuple():
                return f"[{', '.join(self.value)}]"
            case dict():
                return "-"
            case _:
                return str(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Values of one origin, nested; `origin_of` names the origin of a path that is set here."""

    values: Mapping[str, Any]
    origins: Mapping[KeyPath, str]


def merged(layers: tuple[Layer, ...]) -> dict[str, Any]:
    """Values of all layers, later ones first in right; mappings are merged key by key, lists are replaced."""
    result: dict[str, Any] = {}
    for layer in layers:
        _merge(result, layer.values)
    return result


def settings(values: Mapping[str, Any], layers: tuple[Layer, ...]) -> tuple[Setting, ...]:
    """Every value in effect with the last layer that set it."""
    return tuple(
        Setting(
            name=".".join(path),
            value=_masked(path, value),
            origin=next((layer.origins[path] for layer in reversed(layers) if path in layer.origins), "default"),
        )
        for path, value in leaves(values)
    )


def leaves(values: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Paths of everything that is not a filled mapping."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*prefix, name))
        else:
            yield (*prefix, name), value


_URL_PASSWORD = re.compile(r"(://[^/@:]*:)[^/]*@")
_QUERY_PASSWORD = re.compile(r"([?&][^=&]*(?:password|passwd|secret|token)[^=&]*=)[^&]*", re.IGNORECASE)


def _masked(path: tuple[str, ...], value: Any) -> Any:
    if not isinstance(value, str):
        return value
    # What a container gets by its environment is often a password, and nothing says which value is one.
    if "environment" in path[:-1]:
        return "***"
    return _QUERY_PASSWORD.sub(r"\1***", _URL_PASSWORD.sub(r"\1***@", value))


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, Mapping):
            _merge(into.setdefault(name, {}), value)
        else:
            into[name] = value
