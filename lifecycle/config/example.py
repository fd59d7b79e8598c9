"""A commented `capctl.yaml`, made from the schema: every key, its description and its default."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from lifecycle.config.keys import Key, Kind, known_keys
from lifecycle.config.schema import Config, Settings, TargetSection
from lifecycle.config.sections import Section
from lifecycle.config.validate import complaints
from lifecycle.errors import UsageError

_HEAD = """\
# What capctl ships, and where. Every key that is commented out shows its default.
# `capctl config check` names every mistake, `capctl config show --origins` every value in effect,
# `capctl config schema` prints the JSON Schema for editors.
"""


def example(*, project: str, target: str, account: str, region: str) -> str:
    """The text of a file with one target. Raises `UsageError` when a value does not fit the schema."""
    values = {"project": project, "default_target": target, "targets": {target: {"account": account, "region": region}}}
    for complaint in complaints(Config, values, lambda _: None):
        raise UsageError("option-invalid", complaint.text, hint=f"Pass another `--{complaint.path[-1]}`")
    top = known_keys(Config)
    lines = [_HEAD, f"schema: {top[('schema',)].default}", ""]
    for name in ("project", "default_target"):
        lines += [*_comment(top[(name,)], ""), f"{name}: {values[name]}", ""]
    lines += [*_comment(top[("defaults",)], ""), "defaults:", *_section(Settings, "  "), ""]
    lines += [*_comment(top[("targets",)], ""), "targets:", f"  {target}:", *_target(account, region, "    ")]
    return "\n".join(lines) + "\n"


def write_example(path: Path, text: str, *, overwrite: bool) -> None:
    """Write `text` to `path`. Raises `UsageError` when the file exists and `overwrite` is not set, or cannot be written."""
    try:
        with path.open("w" if overwrite else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError("config-exists", f"`{path}` exists already", hint="Pass `--force` to overwrite it") from error
    except OSError as error:
        raise UsageError(
            "config-unwritable",
            f"`{path}` cannot be written: {error.strerror}",
            hint="Name another file with `--config`",
        ) from error


def _target(account: str, region: str, indent: str) -> Iterator[str]:
    given = {"account": f'"{account}"', "region": region}
    for key in known_keys(TargetSection).values():
        if len(key.path) == 1 and key.kind is not Kind.SECTION:
            yield from _comment(key, indent)
            name = key.path[0]
            yield f"{indent}{name}: {given[name]}" if name in given else f"{indent}# {name}:{_default(key)}"
    yield f"{indent}# Anything under `defaults` may stand here too, for this target alone"


def _section(section: type[Section], indent: str) -> Iterator[str]:
    for key in known_keys(section).values():
        if len(key.path) > 1:
            continue
        yield from _comment(key, indent)
        if key.section:
            yield f"{indent}{key.path[0]}:"
            yield from _section(key.section, indent + "  ")
        else:
            yield f"{indent}# {key.path[0]}:{_default(key)}"


def _comment(key: Key, indent: str) -> Iterator[str]:
    choices = f" ({', '.join(key.choices)})" if len(key.choices) > 1 else ""
    yield f"{indent}# {key.description}{choices}"


def _default(key: Key) -> str:
    return f" {flow(key.default)}" if key.default is not None else ""


def flow(value: Any) -> str:
    """A value as one line of YAML."""
    plain = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(plain, default_flow_style=True, width=10_000).removesuffix("...\n").strip()
