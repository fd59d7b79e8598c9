"""How a section of `capctl.yaml` is declared: a dataclass whose keys carry their description and their rules beside the default."""

from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, field, fields
from fnmatch import fnmatchcase
from ipaddress import IPv4Network
from typing import Any, ClassVar, TypeGuard, TypeVar, cast

T = TypeVar("T")


class Section(ABC):
    """Base of all sections, each of which is a dataclass."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


S = TypeVar("S", bound=Section)


class Matches(str):
    """In an annotation: the pattern that the text must match."""

    __slots__ = ()

    def __get_pydantic_core_schema__(self, _source: object, _rest: object) -> dict[str, object]:
        """The rule in the words of pydantic, which looks for this method."""
        return {"type": "str", "pattern": str(self)}


class Reserved(tuple[str, ...]):
    """In an annotation, after its pattern: what the text must not be; `A*` stands for all that begins so."""

    __slots__ = ()

    def __get_pydantic_core_schema__(self, source: object, rest: Callable[[object], object]) -> dict[str, object]:
        """The rule in the words of pydantic, which looks for this method."""
        return {
            "type": "function-after",
            "function": {"type": "no-info", "function": self._checked},
            "schema": rest(source),
        }

    def _checked(self, text: str) -> str:
        if any(fnmatchcase(text, name) for name in self):
            message = "is reserved"
            raise ValueError(message)
        return text


class AddressBlock(Matches):
    """In an annotation: the text is an IPv4 network in CIDR notation, whose pattern it must match, without host bits."""

    __slots__ = ()

    def __get_pydantic_core_schema__(self, _source: object, _rest: object) -> dict[str, object]:
        """The rule in the words of pydantic, which looks for this method."""
        return {
            "type": "function-after",
            "function": {"type": "no-info", "function": self._checked},
            "schema": {"type": "str", "pattern": str(self)},
        }

    def _checked(self, text: str) -> str:
        network = IPv4Network(text, strict=False)
        if str(network) != text:
            message = f"must begin where its block does, at `{network}`"
            raise ValueError(message)
        return text


def key(default: T, description: str, **rules: object) -> T:
    """A key of a section. `rules` are keywords of `pydantic.Field`: `gt`, `ge`, `le`, `min_length`, `alias`."""
    metadata = {"description": description, **rules}
    if isinstance(default, dict):
        return cast("T", field(default_factory=default.copy, metadata=metadata))
    return field(default=default, metadata=metadata)


def required(description: str, **rules: object) -> Any:
    """A key without a default."""
    return key(MISSING, description, **rules)


def default_of(declared: Field[Any]) -> Any:
    """The default of a key; `MISSING` where it is required."""
    return declared.default if declared.default_factory is MISSING else declared.default_factory()


def is_section(annotation: Any) -> TypeGuard[type[Section]]:
    """Whether a key so annotated holds a section."""
    return isinstance(annotation, type) and issubclass(annotation, Section)


def section_of(section: type[S], values: Mapping[str, Any]) -> S:
    """A section from its `values`, which are valid and complete, and nested as in the file."""
    return section(**{each.name: _value(each.type, values[each.name]) for each in fields(section)})


def _value(annotation: Any, value: Any) -> Any:
    if is_section(annotation):
        return section_of(annotation, value)
    return tuple(value) if isinstance(value, list) else value
