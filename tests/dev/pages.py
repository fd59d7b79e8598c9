"""The files that are made from the code: pages of docs/, policies of examples/, and what `pulumi_aws` declares of the rehearsal's types."""

from pathlib import Path

import click

from lifecycle.cli.main import COMMANDS, root
from lifecycle.config.environment import variable_name
from lifecycle.config.example import example, flow
from lifecycle.config.keys import Key, Kind, known_keys
from lifecycle.config.schema import Config, TargetSection
from lifecycle.errors import ERROR_CODES, EXIT_CODES, CapctlError
from tests.dev.documents import documents_page
from tests.dev.iam_page import iam_page, policy_files
from tests.dev.provider_schema import schema_page

_NOTE = "<!-- Made by `python -m tests.dev docs --write`; do not edit. -->\n"


def pages() -> dict[str, str]:
    """Text by path in the repository."""
    return {
        "docs/cli.md": cli_page(),
        "docs/configuration.md": configuration_page(),
        "docs/documents.md": documents_page(_NOTE),
        "docs/exit-codes.md": exit_codes_page(),
        "docs/iam.md": iam_page(_NOTE),
        **policy_files(),
        "lifecycle/rehearsal/provider/schema.json": schema_page(),
    }


def stale_pages(root_folder: Path) -> list[Path]:
    """Pages that are absent or differ from what the code says."""
    wanted = {root_folder / name: text for name, text in pages().items()}
    return [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]


def write_pages(root_folder: Path, stale: list[Path]) -> None:
    """Write the pages of `stale`."""
    texts = pages()
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(texts[str(path.relative_to(root_folder))])


def command_helps() -> dict[str, str]:
    """The help of every command by its full name, 100 columns wide."""
    context = click.Context(
        root, info_name="capctl", max_content_width=100, terminal_width=100, **root.context_settings
    )
    helps = {"capctl": root.get_help(context)}
    for name in COMMANDS:
        command = root.get_command(context, name)
        assert command is not None
        _collect(command, click.Context(command, info_name=name, parent=context), helps)
    return helps


def asking() -> list[str]:
    """The commands that ask before they act."""
    return [name for name, text in command_helps().items() if "--yes " in text]


def _collect(command: click.Command, context: click.Context, helps: dict[str, str]) -> None:
    helps[context.command_path] = command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            if below := command.get_command(context, name):
                _collect(below, click.Context(below, info_name=name, parent=context), helps)


def cli_page() -> str:
    sections = [f"## {name}\n\n```text\n{text.rstrip()}\n```\n" for name, text in command_helps().items()]
    introduction = """\
# The command line

What takes something from somebody, gives it to others or moves what takes new jobs shows its plan and asks first. `--yes` answers for
scripts; without it and without a terminal these commands fail with `confirmation-needed` before they read anything:
"""
    others = "What only adds, as `capctl ami copy` does, or brings back, as `capctl ami disable --undo` does, does not ask.\n"
    asked = "\n".join(f"- `{name}`" for name in asking())
    return "\n".join([_NOTE, introduction, asked, "", others, *sections])


def configuration_page() -> str:
    introduction = """\
# The configuration

`capctl.yaml` holds settings for all targets under `defaults`, and for one target under `targets.NAME`. `capctl init` writes one
with every key. `capctl config check` names every mistake at once with line and column, `capctl config show --origins` says where
each value in effect came from, and `capctl config schema > capctl.schema.json` gives editors completion.

Which value counts, highest first: an option of the command, a `CAPCTL_*` variable, the target's section, `defaults`, the default
below. Mappings are merged key by key; a list replaces the list below it.

## Variables

Two underscores step into a section: `smoke.timeout_s` is `CAPCTL_SMOKE__TIMEOUT_S`. Entries of a mapping keep their case
(`CAPCTL_RELEASE__ENVIRONMENT__DATABASE_URL`). Text is taken as it stands, a list is `a,b` or `[a, b]`, anything else is read as
YAML, and an empty variable counts as absent. A variable with two underscores that names no key is a mistake.

| variable | sets |
|---|---|
| `CAPCTL_CONFIG` | the configuration file (`--config`) |
| `CAPCTL_TARGET` | the target (`--target`) |
| `CAPCTL_OUTPUT` | the form of the result (`-o`) |
| `CAPCTL_DEBUG=1` | every failure shows its traceback |
| `NO_COLOR` | no colour |
"""
    top = [key for key in known_keys(Config).values() if len(key.path) == 1]
    target = [key for key in known_keys(TargetSection).values() if len(key.path) == 1 and not key.section]
    parts = [_NOTE, introduction, "## The file\n", _table(top, variables=False), "## A target\n", _table(target)]
    for section in (key for key in known_keys(TargetSection).values() if key.section):
        inside = [
            key for key in known_keys(TargetSection).values() if key.path[:-1] == section.path and not key.section
        ]
        parts += [
            f"## `{section.name}`\n",
            f"{section.description}. May stand under `defaults` and in a target.\n",
            _table(inside),
        ]
    filled = example(project="shop", target="dev", account="123456789012", region="eu-central-1")
    return "\n".join([*parts, "## What `capctl init` writes\n", f"```yaml\n{filled}```\n"])


def _table(keys: list[Key], *, variables: bool = True) -> str:
    rows = ["| key | holds | default | |", "|---|---|---|---|"]
    for key in keys:
        variable = f" (`{variable_name(key.path)}`)" if variables else ""
        if key.kind is Kind.MAPPING and variables:
            variable = f" (`{variable_name(key.path)}__NAME`)"
        rows.append(f"| `{key.path[-1]}` | {_holds(key)} | {_default(key)} | {key.description}{variable} |")
    return "\n".join(rows) + "\n"


def _holds(key: Key) -> str:
    return ", ".join(f"`{choice}`" for choice in key.choices) or key.kind.value


def _default(key: Key) -> str:
    if key.required:
        return "required"
    return f"`{flow(key.default)}`" if key.default is not None and key.kind is not Kind.SECTION else ""


def exit_codes_page() -> str:
    lines = [
        _NOTE,
        "# Exit codes and error codes\n",
        "| exit code | meaning |\n|---|---|",
        *(f"| {int(code)} | {meaning} |" for code, meaning in EXIT_CODES.items()),
        "",
        "An error is one sentence on stderr, with a stable code and what to do next:\n",
        "```text",
        _sample(),
        "```\n",
        "With `-o json` stdout carries the same as one document, [`capctl.error/1`](documents.md).\n",
        "A word that cannot be an id, a digest or an address is a mistake in the command line: 2. One that could be, and names nothing",
        "that exists, is a failure: 1.\n",
        "| error code | meaning |\n|---|---|",
        *(f"| `{code}` | {meaning} |" for code, meaning in sorted(ERROR_CODES.items())),
    ]
    return "\n".join(lines) + "\n"


def _sample() -> str:
    from lifecycle.cli.boundary import render_error

    return render_error(
        CapctlError(
            "config-missing",
            "There is no configuration file `capctl.yaml`",
            hint="Write one with `capctl init`, or name it with `--config` or CAPCTL_CONFIG",
        )
    )
