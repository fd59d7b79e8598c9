"""The keys that the schema knows, as data: what suggestions, variables, the example file and the reference page are made from."""

from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from lifecycle.config.schema import Config, TargetSection
from lifecycle.config.sections import Section, default_of, is_section


class Kind(Enum):
    """What a key holds, in the words of messages."""

    TEXT = "text"
    INTEGER = "a whole number"
    BOOLEAN = "`true` or `false`"
    LIST = "a list"
    MAPPING = "a mapping"
    SECTION = "a section"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key: `path` from the section it was listed from, `default` None where there is none, `choices` when limited."""

    path: tuple[str, ...]
    kind: Kind
    description: str
    default: Any
    required: bool
    choices: tuple[str, ...] = ()
    section: type[Section] | None = None

    @property
    def name(self) -> str:
        return ".".join(self.path)


def keys_of(section: type[Section], prefix: tuple[str, ...] = ()) -> Iterator[Key]:
    """Every key of `section`, sections before what they hold, in the order of the schema."""
    for field in fields(section):
        key = _key(field, (*prefix, field.metadata.get("alias", field.name)))
        yield key
        if key.section:
            yield from keys_of(key.section, key.path)


@cache
def known_keys(section: type[Section]) -> dict[tuple[str, ...], Key]:
    """The keys of a section by path; in those of `Config`, `targets.*` stands for any target."""
    known = {key.path: key for key in keys_of(section)}
    if section is Config:
        target = Key(
            path=("targets", "*"),
            kind=Kind.SECTION,
            description=(TargetSection.__doc__ or "").rstrip("."),
            default=None,
            required=True,
            section=TargetSection,
        )
        known |= {key.path: key for key in (target, *keys_of(TargetSection, target.path))}
    return known


def _key(field: Field[Any], path: tuple[str, ...]) -> Key:
    base, default = _bare(field.type), default_of(field)
    return Key(
        path=path,
        kind=_kind(base),
        description=field.metadata["description"],
        default=None if default is MISSING else default,
        required=default is MISSING,
        choices=tuple(str(choice) for choice in get_args(base)) if get_origin(base) is Literal else (),
        section=base if is_section(base) else None,
    )


def _bare(annotation: Any) -> Any:
    """The annotation without `Annotated` and `| None`."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        (base,) = (option for option in get_args(annotation) if option is not NoneType)
        return _bare(base)
    return annotation


def _kind(base: Any) -> Kind:
    if is_section(base):
        return Kind.SECTION
    origin = get_origin(base) or base
    kinds = {bool: Kind.BOOLEAN, int: Kind.INTEGER, tuple: Kind.LIST, dict: Kind.MAPPING}
    return kinds.get(origin, Kind.TEXT)
