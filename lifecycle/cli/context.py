"""What every command gets: the options given before it, the application, and how to answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import click

from lifecycle.errors import CapctlError

if TYPE_CHECKING:
    from lifecycle.config.target import Target
    from lifecycle.domain.plan import Done, Plan
    from lifecycle.domain.run import Run
    from lifecycle.ports import Ports
    from lifecycle.ports.ui import Ui

    class Application(Ports, Protocol):
        """The ports of a target, and the target."""

        @property
        def target(self) -> Target: ...


F = TypeVar("F", bound=Callable[..., object])

_AGAIN = "Nothing was changed; run again without `--dry-run` to apply"
_CONFIG, _OUTPUT = "capctl.yaml", "text"


class Declined(CapctlError):
    """The question whether to go on was answered with no: nothing was done, and nothing is wrong."""


class Composition(Protocol):
    """Who makes what a command works with; `lifecycle.app`, unless it is a test."""

    def terminal(self, *, verbosity: int, assume_yes: bool) -> Ui:
        """Messages to the person who runs the command."""

    def application(self, target: Target, ui: Ui, *, command: str) -> Application:
        """The ports of `target`."""

    def begin_run(self, command: str, *, reason: str) -> Run:
        """A run of `command`."""


class Shown(Protocol):
    """What is about to be done: one plan, or those of several stages."""

    @property
    def title(self) -> str: ...

    @property
    def is_idle(self) -> bool: ...

    def render(self) -> str:
        """For people."""


class Invocation:
    """One run of capctl. The options given before and after the command fill it; `verbosity` is -1 (`-q`), 0 or 1 (`-v`)."""

    def __init__(self, composition: Composition | None = None) -> None:
        self.config_path = Path(_CONFIG)
        self.target_name: str | None = None
        self.output = _OUTPUT
        self.verbosity = 0
        self.assume_yes = False
        self.reason = ""
        self._given = composition

    @property
    def _composition(self) -> Composition:
        if self._given is None:
            from lifecycle import app

            self._given = app
        return self._given

    @cached_property
    def terminal(self) -> Ui:
        """Messages to the person who runs the command, for commands that need no target."""
        return self._composition.terminal(verbosity=self.verbosity, assume_yes=self.assume_yes)

    @cached_property
    def app(self) -> Application:
        """The application for the chosen target. Raises `UsageError` for every mistake in the configuration at once."""
        from lifecycle.config.snapshot import load_target

        target = load_target(self.config_path, self.target_name, environment=os.environ)
        return self._composition.application(target, self.terminal, command=click.get_current_context().command_path)

    @cached_property
    def run(self) -> Run:
        """Who runs what; the id marks everything that this run makes."""
        command = click.get_current_context().command_path
        return self._composition.begin_run(command, reason=self.reason)

    def emit(
        self,
        schema: str,
        document: Mapping[str, Any],
        text: Callable[[], str] | str,
        *,
        nothing: str = "",
        failure: CapctlError | None = None,
    ) -> None:
        """Print the result on stdout: the document with its schema name under `-o json`, else `text`.

        `nothing` is told instead of an empty text. `failure` is what the result amounts to, if it amounts to one; it is raised after
        the result was printed.
        """
        if self.output == "json":
            import json

            click.echo(json.dumps({"schema": schema, **document}, indent=2, ensure_ascii=False))
        else:
            rendered = text if isinstance(text, str) else text()
            if nothing and not rendered:
                self.terminal.note(nothing)
            if rendered:
                from lifecycle.domain.visible import visible

                click.echo(visible(rendered, lines=True))
        if failure:
            failure.is_answered = True
            raise failure

    def execute(self, plan: Plan, *, dry_run: bool = False, ask: bool = False, again: str = _AGAIN) -> Done | None:
        """Run `plan`, or print it. Returns None for a dry run, after which the command has nothing more to say; `again` ends it.

        With `ask` a plan that changes something is shown and agreed to first; raises `Declined`.
        """
        if dry_run:
            from lifecycle.cli import documents

            self.print_plan(plan, documents.plan(plan), again=again)
            return None
        if ask and plan.steps:
            self.require_consent(plan)
        from lifecycle.workflows.execute import execute

        return execute(plan, self.app, self.run)

    def print_plan(self, plan: Shown, document: Mapping[str, Any], *, again: str = _AGAIN) -> None:
        """What a dry run answers; `document` is that of the plan."""
        self.emit("capctl.plan/1", document, lambda: plan_text(plan, again))

    def require_consent(self, plan: Shown) -> None:
        """Show the plan and ask; raises `Declined`."""
        target = self.app.target
        if not self.assume_yes:
            self.terminal.note(plan.render())
        title = plan.title[:1].upper() + plan.title[1:]
        place = f"target `{target.name}` (account {target.account}, region {target.region})"
        if not self.terminal.confirm(f"{title} on {place}?"):
            raise Declined("declined", f"Nothing was changed on target `{target.name}`")


def plan_text(plan: Shown, again: str = _AGAIN) -> str:
    """The plan, and that nothing was changed."""
    from lifecycle.domain.digest import brief

    return f"{brief(plan.render())}\n{'Nothing to do' if plan.is_idle else again}"


def root_options(*, at_root: bool) -> list[click.Option]:
    """The options that every command takes, before its name or after it.

    At the root they have their defaults, their variables and their help; after the command they replace what stood before.
    """

    def option(
        *names: str, field: str, default: Any = None, flag: int | None = None, **attributes: Any
    ) -> click.Option:
        def given(ctx: click.Context, _: click.Parameter, value: Any) -> None:
            if value:
                setattr(_invocation(ctx), field, value if flag is None else flag)

        if not at_root:
            attributes = {name: value for name, value in attributes.items() if name in {"type", "metavar"}}
            attributes["hidden"] = True
        elif default is not None:
            attributes |= {"default": default, "show_default": True}
        return click.Option(
            names,
            expose_value=False,
            is_eager=True,
            is_flag=None if flag is None else True,
            callback=given,
            **attributes,
        )

    return [
        option(
            "--config",
            field="config_path",
            type=click.Path(path_type=Path),
            default=_CONFIG,
            envvar="CAPCTL_CONFIG",
            show_envvar=True,
            help="Configuration file.",
        ),
        option("--target", field="target_name", envvar="CAPCTL_TARGET", show_envvar=True, help="Target to act in."),
        option(
            "-o",
            "--output",
            field="output",
            type=click.Choice(["text", "json"]),
            default=_OUTPUT,
            envvar="CAPCTL_OUTPUT",
            show_envvar=True,
            help="Form of the result on stdout.",
        ),
        option("-q", "--quiet", field="verbosity", flag=-1, help="Print only the result, warnings and errors."),
        option("-v", "--verbose", field="verbosity", flag=1, help="Print details."),
    ]


def accept_root_options(command: click.Command) -> None:
    """Let `command`, and every command below it, take the root options too, so that `capctl status -o json` works.

    An option that the command defines itself stays the command's own.
    """
    if isinstance(command, click.Group):
        for below in command.commands.values():
            accept_root_options(below)
    taken = {name for parameter in command.params for name in parameter.opts}
    command.params += [option for option in root_options(at_root=False) if not taken & set(option.opts)]


def wants_json(words: Iterable[str]) -> bool:
    """Whether a command line that may not even be parsable asks for documents."""
    found = Invocation()
    reader = click.Command("capctl", params=[*root_options(at_root=True)], add_help_option=False)
    reader.ignore_unknown_options = reader.allow_extra_args = True
    reader.make_context("capctl", list(words), obj=found, resilient_parsing=True)
    return found.output == "json"


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


def yes_option_unless(asks_nothing: Callable[[Mapping[str, Any]], bool]) -> Callable[[F], F]:
    """`--yes`, for a command that asks before it changes anything, unless its options say that it `asks_nothing`.

    Where nobody would answer it fails before it reads anything, and not when its question comes up, minutes later.
    """

    def decorated(command: F) -> F:
        @wraps(command)
        def asking(*arguments: Any, **options: Any) -> object:
            if not asks_nothing(options):
                _invocation(click.get_current_context()).terminal.require_answers()
            return command(*arguments, **options)

        option = click.option(
            "-y", "--yes", is_flag=True, expose_value=False, callback=_assume_yes, help="Go on without being asked."
        )
        return cast("F", option(asking))

    return decorated


pass_invocation = click.make_pass_decorator(Invocation)
dry_run_option = click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
yes_option = yes_option_unless(lambda options: options["dry_run"])
reason_option = click.option(
    "--reason",
    metavar="TEXT",
    expose_value=False,
    callback=_give_reason,
    help="Why; kept in the journal, and with the pointer, the channel or the disabled AMI.",
)
