"""Groups of commands: they suggest what was meant, and import a command when it is used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from lifecycle.cli.context import accept_root_options
from lifecycle.errors import UsageError


class SuggestingGroup(click.Group):
    """A group that names the command that was probably meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known = args[0], self.list_commands(ctx)
        if name in known or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        from lifecycle.config.suggest import near

        meant = near(name, known)
        raise UsageError(
            "command-unknown",
            f"`{name}` is not a command{'' if ctx.parent is None else f' of `{ctx.command_path}`'}"
            + (f"; did you mean `{meant}`?" if meant else ""),
            hint=f"See `{ctx.command_path} --help`",
        )


class NounGroup(SuggestingGroup):
    """A group that imports its commands when they are used, and lists them with their whole first sentence.

    `verbs` maps the names of commands to the modules that have them, as `command`.
    """

    def __init__(self, *args: Any, verbs: Mapping[str, str] | None = None, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._verbs = verbs or {}

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return sorted({*self.commands, *self._verbs})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._verbs and cmd_name not in self.commands:
            command: click.Command = import_module(self._verbs[cmd_name]).command
            accept_root_options(command)
            self.add_command(command, cmd_name)
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            found = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
            formatter.write_dl([(name, command.get_short_help_str(200)) for name, command in found.items() if command])
