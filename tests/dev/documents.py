"""The page docs/documents.md: every document of `-o json`, which commands answer with it, and its fields."""

import inspect
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import click

from lifecycle.cli import (
    ami_documents,
    ami_removal_documents,
    documents,
    image_documents,
    image_repository_documents,
    job_documents,
    release_documents,
    smoke_documents,
    status_documents,
)
from lifecycle.cli.main import COMMANDS, root
from tests.dev.samples import SAMPLES

_SCHEMA = re.compile(r'"capctl\.([a-z-]+)/1"')
_EVERY = {"error": "every command that fails", "plan": "every command with `--dry-run`"}
_INTRODUCTION = """\
# The documents of `-o json`

With `-o json` a command prints one JSON document on stdout, whose first field `schema` names its form, such as `capctl.ami/1`.
A form may gain fields; one that loses a field, or gives it another meaning, gets a higher number. What `capctl init` and
`capctl rehearse` answer is not promised.
"""


def documents_page(note: str) -> str:
    """The page docs/documents.md."""
    answers = commands_by_schema()
    sections = []
    for name, sample in sorted(SAMPLES.items()):
        made_by = inspect.getdoc(makers()[name]) or ""
        by = _EVERY.get(name) or ", ".join(f"`{command}`" for command in answers[name])
        rows = [f"| `{field}` | {example} |" for field, example in _fields(sample)]
        table = "\n".join(["| field | for example |", "|---|---|", *rows])
        sections.append(f"## `capctl.{name}/1`\n\n{' '.join(made_by.split())}\n\nFrom: {by}\n\n{table}\n")
    return "\n".join([note, _INTRODUCTION, *sections])


def makers() -> dict[str, Callable[..., Any]]:
    """The functions that make documents, by the name of their schema."""
    return {
        name.replace("_", "-"): made
        for module in (
            documents,
            ami_documents,
            ami_removal_documents,
            image_documents,
            image_repository_documents,
            job_documents,
            release_documents,
            smoke_documents,
            status_documents,
        )
        for name, made in inspect.getmembers(module, inspect.isfunction)
        if made.__annotations__.get("return") == "Document" and not name.startswith("_")
    }


def commands_by_schema() -> dict[str, list[str]]:
    """Which commands name a schema, such as `ami`, in their code."""
    found = defaultdict[str, list[str]](list)
    for path, command in _commands():
        for name in dict.fromkeys(_SCHEMA.findall(inspect.getsource(command.callback or _commands))):
            found[name].append(path)
    return found


def _commands() -> Iterator[tuple[str, click.Command]]:
    for name in COMMANDS:
        command = root.get_command(click.Context(root), name)
        assert command is not None
        yield f"capctl {name}", command
        context = click.Context(command)
        if not isinstance(command, click.Group):
            continue
        for verb in command.list_commands(context):
            below = command.get_command(context, verb)
            assert below is not None
            yield f"capctl {name} {verb}", below


def _fields(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The paths of all fields with an example; `[]` stands for each entry of a list."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _fields(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list | tuple) and value:
        yield from _fields(value[0], f"{path}[]")
    else:
        yield path, f"`{json.dumps(value, ensure_ascii=False)}`"
