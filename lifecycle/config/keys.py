"""The keys that the schema knows, as data: what suggestions, variables, the example file and the reference page are made from."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lifecycle.config.schema import Config, TargetSection


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
    section: type[BaseModel] | None = None

    @property
    def name(self) -> str:
        return ".".join(self.path)


def keys_of(section: type[BaseModel], prefix: tuple[str, ...] = ()) -> Iterator[Key]:
    """Every key of `section`, sections before what they hold, in the order of the schema."""
    for name, field in section.model_fields.items():
        key = _key(field, (*prefix, field.alias or name))
        yield key
        if key.section:
            yield from keys_of(key.section, key.path)


@cache
def known_keys(model: type[BaseModel]) -> dict[tuple[str, ...], Key]:
    """The keys of a section by path; in those of `Config`, `targets.*` stands for any target."""
    known = {key.path: key for key in keys_of(model)}
    if model is Config:
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


def _key(field: FieldInfo, path: tuple[str, ...]) -> Key:
    base = _bare(field.annotation)
    choices = tuple(str(choice) for choice in get_args(base)) if get_origin(base) is Literal else ()
    section = base if isinstance(base, type) and issubclass(base, BaseModel) else None
    return Key(
        path=path,
        kind=_kind(base),
        description=field.description or "",
        default=None if field.is_required() else field.default,
        required=field.is_required(),
        choices=choices,
        section=section,
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
    if isinstance(base, type) and issubclass(base, BaseModel):
        return Kind.SECTION
    origin = get_origin(base) or base
    kinds = {bool: Kind.BOOLEAN, int: Kind.INTEGER, tuple: Kind.LIST, dict: Kind.MAPPING}
    return kinds.get(origin, Kind.TEXT)
