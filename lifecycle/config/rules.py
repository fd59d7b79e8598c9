"""The rules of the schema, as pydantic checks them."""

from dataclasses import MISSING, Field, fields
from functools import cache
from types import GenericAlias
from typing import Any, get_args, get_origin

import pydantic
from pydantic import BaseModel, ConfigDict, model_validator

from lifecycle.config.sections import Section, default_of, is_section


class _Strict(BaseModel):
    """Unknown keys are mistakes; values are never coerced silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_when_nothing_follows(cls, value: object) -> object:
        """`smoke:` with every key below it commented out is an empty section."""
        return {} if value is None else value


@cache
def model_of(section: type[Section]) -> type[BaseModel]:
    """The model that checks what `section` declares."""
    declared: dict[str, Any] = {each.name: (_annotation(each.type), _field(each)) for each in fields(section)}
    return pydantic.create_model(section.__name__, __base__=_Strict, __doc__=section.__doc__, **declared)


def valid_values(section: type[Section], values: Any, *, with_defaults: bool = False) -> dict[str, Any]:
    """`values` as plain data. Raises `pydantic.ValidationError`."""
    return model_of(section).model_validate(values).model_dump(exclude_unset=not with_defaults)


def _annotation(declared: Any) -> Any:
    """The annotation with models in place of sections."""
    if is_section(declared):
        return model_of(declared)
    if get_origin(declared) is dict:
        return GenericAlias(dict, tuple(map(_annotation, get_args(declared))))
    return declared


def _field(declared: Field[Any]) -> Any:
    default = default_of(declared)
    if default is MISSING:
        return pydantic.Field(**declared.metadata)
    if isinstance(default, Section):
        default = model_of(type(default))()
    return pydantic.Field(default, **declared.metadata)
