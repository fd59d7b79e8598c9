"""What every command gets: the options given before it, the application, and how to answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from lifecycle.app import App
    from lifecycle.domain.plan import Done, Plan, Step
    from lifecycle.domain.run import Run
    from lifecycle.errors import CapctlError
    from lifecycle.ports.ui import Ui


class Invocation:
    """One run of capctl. `verbosity` is -1 (`-q`), 0 or 1 (`-v`)."""

    def __init__(self, *, config: Path, target: str | None, output: str, verbosity: int) -> None:
        self.config_path = config
        self.target_name = target
        self.output = output
        self.verbosity = verbosity
        self.assume_yes = False
        self.reason = ""

    @cached_property
    def terminal(self) -> Ui:
        """Messages to the person who runs the command, for commands that need no target."""
        from lifecycle.app import terminal

        return terminal(verbosity=self.verbosity, assume_yes=self.assume_yes)

    @cached_property
    def app(self) -> App:
        """The application for the chosen target. Raises `UsageError` for every mistake in the configuration at once."""
        from lifecycle.app import App
        from lifecycle.config.snapshot import load_target

        target = load_target(self.config_path, self.target_name, environment=os.environ)
        return App(target, self.terminal, command=click.get_current_context().command_path)

    @cached_property
    def run(self) -> Run:
        """Who runs what; the id marks everything that this run makes."""
        from lifecycle.app import begin_run

        command = click.get_current_context().command_path
        return begin_run(command, reason=self.reason, folder=self.config_path.absolute().parent)

    def emit(
        self,
        schema: str,
        document: Mapping[str, Any],
        text: Callable[[], str] | str,
        *,
        failure: CapctlError | None = None,
    ) -> None:
        """Print the result on stdout: the document with its schema name under `-o json`, else `text`.

        `failure` is what the result amounts to, if it amounts to one; it is raised after the result was printed.
        """
        if self.output == "json":
            import json

            click.echo(json.dumps({"schema": schema, **document}, indent=2, ensure_ascii=False))
        else:
            rendered = text if isinstance(text, str) else text()
            if rendered:
                click.echo(rendered)
        if failure:
            failure.is_answered = True
            raise failure

    def execute(self, plan: Plan, *, dry_run: bool = False, ask: bool = False) -> Done | None:
        """Run `plan`, or print it. Returns None for a dry run, after which the command has nothing more to say.

        With `ask` a plan that changes something is shown and agreed to first; raises `CapctlError("declined")`.
        """
        if dry_run:
            self.emit("capctl.plan/1", _plan_document(plan), lambda: _plan_text(plan))
            return None
        if ask and plan.steps:
            self._require_consent(plan)
        from lifecycle.workflows.execute import execute

        return execute(plan, self.app, self.run)

    def _require_consent(self, plan: Plan) -> None:
        target = self.app.target
        if not self.assume_yes:
            self.terminal.note(plan.render())
        question = f"{plan.title}, on target `{target.name}` in account {target.account}, {target.region}: go on?"
        if not self.terminal.confirm(question):
            from lifecycle.errors import CapctlError

            raise CapctlError(
                "declined",
                f"Nothing was changed on target `{target.name}`, the answer was no",
                hint="Look at the plan with `--dry-run`, or name another target with `--target`",
            )


def _plan_document(plan: Plan) -> dict[str, Any]:
    def listed(steps: tuple[Step[Any], ...]) -> list[dict[str, Any]]:
        return [{"step": step.describe(), "permissions": sorted(set(step.permissions))} for step in steps]

    return {
        "title": plan.title,
        "because": plan.because,
        "steps": listed(plan.steps),
        "after": listed(plan.after),
        "undo": listed(plan.undo),
    }


def _plan_text(plan: Plan) -> str:
    next_time = "Nothing was changed; run again without `--dry-run` to apply" if plan.steps else "Nothing to do"
    return f"{plan.render()}\n{next_time}"


def accept_root_options(command: click.Command) -> None:
    """Let `command`, and every command below it, take the root options too, so that `capctl status -o json` works.

    An option that the command defines itself stays the command's own.
    """
    if isinstance(command, click.Group):
        for below in command.commands.values():
            accept_root_options(below)
    taken = {name for parameter in command.params for name in parameter.opts}
    command.params += [option for option in _root_options() if not taken & set(option.opts)]


def _root_options() -> tuple[click.Option, ...]:
    def option(*names: str, set_on: Callable[[Invocation, Any], None], **attributes: Any) -> click.Option:
        def given(ctx: click.Context, _: click.Parameter, value: Any) -> None:
            if value:
                set_on(_invocation(ctx), value)

        return click.Option(names, expose_value=False, hidden=True, is_eager=True, callback=given, **attributes)

    return (
        option(
            "--config", type=click.Path(path_type=Path), set_on=lambda inv, value: setattr(inv, "config_path", value)
        ),
        option("--target", set_on=lambda inv, value: setattr(inv, "target_name", value)),
        option(
            "-o",
            "--output",
            type=click.Choice(["text", "json"]),
            set_on=lambda inv, value: setattr(inv, "output", value),
        ),
        option("-q", "--quiet", is_flag=True, set_on=lambda inv, _: setattr(inv, "verbosity", -1)),
        option("-v", "--verbose", is_flag=True, set_on=lambda inv, _: setattr(inv, "verbosity", 1)),
    )


def _invocation(ctx: click.Context) -> Invocation:
    found = ctx.find_object(Invocation)
    assert found is not None, "the root command made it"
    return found


def _assume_yes(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        _invocation(ctx).assume_yes = True


def _give_reason(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value:
        _invocation(ctx).reason = value


pass_invocation = click.make_pass_decorator(Invocation)
dry_run_option = click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
yes_option = click.option(
    "-y", "--yes", is_flag=True, expose_value=False, callback=_assume_yes, help="Go on without being asked."
)
reason_option = click.option(
    "--reason",
    metavar="TEXT",
    expose_value=False,
    callback=_give_reason,
    help="Why; kept in the journal and the pointer.",
)
