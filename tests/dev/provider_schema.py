"""The input properties of the resource types that the rehearsal's provider knows, as the installed `pulumi_aws` declares them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from inspect import Parameter, signature
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pulumi import Output, _types

from lifecycle.rehearsal.provider.catalogue import TYPES

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}


def schema_page() -> str:
    """The file lifecycle/rehearsal/provider/schema.json, a type of resource in each line."""
    lines = [f"{json.dumps(kind.token)}: {json.dumps(declared(kind.token), sort_keys=True)}" for kind in TYPES]
    return "{\n" + ",\n".join(sorted(lines)) + "\n}\n"


def declared(token: str) -> dict[str, Any]:
    """`properties` by name in the provider's schema, and which of them are `required`."""
    module, _, rest = token.removeprefix("aws:").partition("/")
    with warnings.catch_warnings():
        # Importing the provider's s3 module defines its deprecated resources too.
        warnings.simplefilter("ignore", DeprecationWarning)
        resource = getattr(import_module(f"pulumi_aws.{module}"), rest.partition(":")[2])
    # Where another thing's arguments have the name already, `Init` is put into that of the resource's.
    defined = vars(import_module(resource.__module__))
    return _object(defined.get(f"{resource.__name__}InitArgs") or defined[f"{resource.__name__}Args"])


def _object(arguments: type) -> dict[str, Any]:
    names = _types.input_type_py_to_pulumi_names(arguments)
    parameters = signature(arguments.__init__).parameters  # type: ignore[misc]
    return {
        "properties": {name: _shape(kind) for name, kind in _types.input_type_types(arguments).items()},
        "required": sorted(
            names[name] for name in names if name in parameters and parameters[name].default is Parameter.empty
        ),
    }


def _shape(kind: Any) -> Any:
    """`string`, `{"items": …}` for a list, `{"values": …}` for a mapping, `{"properties": …}` for an object."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        # What a property may be besides its plain value is a promise of it.
        plain = [one for one in arguments if one is not type(None) and not _is_promise(one)]
        return _shape(plain[0])
    if origin is not None and issubclass(origin, Mapping):
        return {"values": _shape(arguments[1])}
    if origin is not None and issubclass(origin, Sequence):
        return {"items": _shape(arguments[0])}
    if isinstance(kind, type) and _types.is_input_type(kind):
        return _object(kind)
    return "any"


def _is_promise(kind: Any) -> bool:
    origin = get_origin(kind) or kind
    return origin is Output or getattr(origin, "__name__", "") == "Awaitable"
