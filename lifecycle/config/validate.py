"""What the schema has against a document, in sentences that say what was expected, what was found and what to write."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from lifecycle.config.document import KeyPath, dotted
from lifecycle.config.keys import Key, Kind, known_keys
from lifecycle.config.rules import valid_values
from lifecycle.config.schema import Settings
from lifecycle.config.sections import Section
from lifecycle.config.suggest import near, one_of

# By key, what fits its pattern, and an example as YAML.
_PATTERNS = {
    "cidr": ("a block of IPv4 addresses from /16 to /25, such as `10.64.0.0/16`", "10.64.0.0/16"),
    "database_secret_arn": (
        "the ARN of a secret, with the six characters at its end",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:database-a1b2c3",
    ),
    "zones": ("the letter of an availability zone, from `a` to `h`", "[a, b]"),
    "account": ("the 12 digits of an AWS account id", '"123456789012"'),
    "entrypoint": ("a word that is not empty", "[python3, -m, analyzer, batch]"),
    "endpoint_url": ("an address such as `http://127.0.0.1:4566`", "http://127.0.0.1:4566"),
    "kms_key_arn": (
        "the ARN of a KMS key",
        "arn:aws:kms:eu-central-1:123456789012:key/12345678-90ab-cdef-1234-567890abcdef",
    ),
    "movable_tags": (
        "a pattern of at most two `*` that fits no tag `base-*`, `code-*` or `rel-*`, which never move",
        "cache-*",
    ),
    "promote_to": ("the name of a channel such as `stable`", "stable"),
    "python": ("a version of Python such as `3.12`", '"3.12"'),
    "region": ("an AWS region such as `eu-central-1`", "eu-central-1"),
    "registry_url": ("an address such as `http://127.0.0.1:5000`", "http://127.0.0.1:5000"),
    "repository": ("the name of an ECR repository, such as `team/job`", "team/job"),
    "video_url": (
        "the address of a video in S3, such as `s3://bucket/samples/portrait.mp4`",
        "s3://bucket/samples/portrait.mp4",
    ),
}
_VARIABLE = "must hold letters, digits and `_` alone, and start with no digit"
_NAME = "must start with a letter and hold 2 to 30 of a-z, 0-9 and `-`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """One sentence about the value at `path`, or about the key itself when `on_key`."""

    path: KeyPath
    text: str
    hint: str
    on_key: bool = False
    missing: bool = False


def complaints(section: type[Section], value: Any, written: Callable[[KeyPath], str | None]) -> tuple[Complaint, ...]:
    """Everything that `section` has against `value`; `written` gives the text of the scalar at a path, as it stands in the source."""
    try:
        valid_values(section, value)
    except ValidationError as error:
        found = [dict[str, Any](each) for each in error.errors(include_url=False)]
        places = [each["loc"] for each in found]
        # Pydantic does not count the items of a list that are wrong themselves.
        return tuple(
            _complaint(section, each, written)
            for each in found
            if each["type"] != "too_short" or not any(place[:-1] == each["loc"] for place in places)
        )
    return ()


def _complaint(section: type[Section], found: dict[str, Any], written: Callable[[KeyPath], str | None]) -> Complaint:
    path: KeyPath = tuple(found["loc"])
    if path and path[-1] == "[key]":
        path = path[:-1]
        holder = key_at(section, path)
        rule = _NAME if holder and holder.kind is Kind.SECTION else _VARIABLE
        if found["type"] == "value_error":
            rule = "is reserved for capctl and AWS Batch"
        return Complaint(path=path, text=f"the name `{path[-1]}` {rule}", hint="Choose another name", on_key=True)
    key = key_at(section, path)
    match found["type"]:
        case "extra_forbidden":
            text, hint = _unknown(section, path)
            return Complaint(path=path, text=text, hint=hint, on_key=True)
        case "missing":
            text = f"`{dotted(path)}` is missing{_what(key)}"
            return Complaint(path=path, text=text, hint=f"Add `{path[-1]}: …`", on_key=True, missing=True)
        case _:
            text = f"`{dotted(path)}` {_expected(found, key)}, got {_got(found['input'], written(path))}"
            return Complaint(path=path, text=text, hint=_instead(found, path, key, written(path)))


def key_at(section: type[Section], path: KeyPath) -> Key | None:
    """The key of the schema that `path` in a document means; items of lists and entries of mappings belong to their list or mapping."""
    names = tuple("*" if index == 1 and path[0] == "targets" else str(part) for index, part in enumerate(path))
    known = known_keys(section)
    while names and names not in known:
        names = names[:-1]
    return known.get(names)


def _unknown(section: type[Section], path: KeyPath) -> tuple[str, str]:
    wrong, parent = str(path[-1]), path[:-1]
    holder = key_at(section, parent)
    siblings = [key.path[0] for key in known_keys(holder.section if holder and holder.section else section).values()]
    text = f"`{wrong}` is not a key{f' of `{dotted(parent)}`' if parent else ''}"
    if meant := near(wrong, siblings):
        return f"{text}; did you mean `{meant}`?", f"Write `{meant}`"
    elsewhere = [key.name for key in known_keys(Settings).values() if key.path[-1] == wrong]
    if elsewhere:
        return f"{text}; it may stand as {one_of(elsewhere)}", "Indent it below its section"
    return text, f"Write one of {one_of(dict.fromkeys(siblings))}, or remove it"


def _what(key: Key | None) -> str:
    return f": {key.description}" if key and key.description else ""


def _expected(found: dict[str, Any], key: Key | None) -> str:
    context = found.get("ctx", {})
    match found["type"]:
        case "string_type":
            return "must be text"
        case "int_type" | "int_from_float" | "int_parsing":
            return "must be a whole number"
        case "bool_type":
            return "must be `true` or `false`"
        case "tuple_type":
            return "must be a list"
        case "dict_type" | "model_type" | "model_attributes_type":
            return "must be a mapping of keys to values"
        case "literal_error":
            return f"must be {one_of(key.choices)}" if key and key.choices else f"must be {context.get('expected')}"
        case "string_pattern_mismatch":
            return f"must be {_PATTERNS[key.path[-1]][0]}" if key and key.path[-1] in _PATTERNS else _NAME
        case "greater_than":
            return f"must be more than {context['gt']}"
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "too_short":
            least = context["min_length"]
            return f"must have at least {least} {'entry' if least == 1 else 'entries'}"
        case "too_long":
            return f"must have at most {context['max_length']} entries"
        case _:
            return str(found["msg"]).removeprefix("Input ").removeprefix("Value error, ").lower()


def _got(value: Any, written: str | None) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return f"`{written or str(value).lower()}`, which YAML reads as true or false"
        case int() | float():
            return f"the number `{written or value}`"
        case str():
            return f"`{written or value}`"
        case tuple() | list():
            return "a list" if value else "an empty list"
        case dict():
            return "a mapping" if value else "an empty mapping"
        case _:
            return f"`{written or value}`, which YAML reads as a {type(value).__name__}"


def _instead(found: dict[str, Any], path: KeyPath, key: Key | None, written: str | None) -> str:
    name = f"{path[-1]}: " if path and isinstance(path[-1], str) else "- "
    if found["type"] == "string_type" and written is not None:
        return f'Write `{name}"{written}"`, in quotes, so that it is read as it stands'
    if found["type"] == "tuple_type" and isinstance(found["input"], str):
        return f"Write `{name}[{found['input']}]`"
    if key is None or key.kind is Kind.SECTION:
        return f"Indent its keys below `{name.strip()}`" if path else "Write `project:` and `targets:`"
    if example := _example(key, is_item=not isinstance(path[-1], str)):
        return f"Write for example `{name}{example}`"
    return key.description


def _example(key: Key, *, is_item: bool) -> str:
    """A value that fits the key, or is an item of its list, as YAML; "" where none is known."""
    if key.path[-1] in _PATTERNS and is_item == (key.kind is Kind.LIST):
        return _PATTERNS[key.path[-1]][1]
    match key.default:
        case bool() | int():
            return str(key.default).lower()
        case str():
            return key.default
        case tuple():
            return f"[{', '.join(map(str, key.default))}]" if key.default else ""
        case _:
            return "vision" if key.kind is Kind.TEXT and key.required else ""
