"""What `ami prune` and `image prune` have in common on the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from lifecycle.cli.context import dry_run_option, reason_option, yes_option_unless

if TYPE_CHECKING:
    from lifecycle.cli.context import Invocation
    from lifecycle.domain.plan import Done, Plan

F = TypeVar("F", bound=Callable[..., object])

_AGAIN = "Nothing was changed; run again with `--apply`"


def prune_options(*, applies: str, limit: str) -> Callable[[F], F]:
    """`--apply` and `--max-deletions` with these words of help, `--reason`, `--dry-run` and `--yes`."""
    most = click.option(
        "--max-deletions", type=click.IntRange(min=0), default=10, show_default=True, help=f"Limit for one run{limit}."
    )
    yes_option = yes_option_unless(lambda options: options["dry_run"] or not options["applies"])
    options = (click.option("--apply", "applies", is_flag=True, help=applies), most)

    def decorated(command: F) -> F:
        for option in reversed((*options, reason_option, dry_run_option, yes_option)):
            command = option(command)
        return command

    return decorated


def carry_out(invocation: Invocation, plan: Plan, *, applies: bool, dry_run: bool) -> Done | None:
    """Run `plan` where `--apply` asks for that, or print it for a dry run. Returns None unless it was run; raises `Declined`."""
    if not (applies or dry_run):
        return None
    again = {} if applies else {"again": _AGAIN}
    return invocation.execute(plan, dry_run=dry_run, ask=True, **again)


def ending(plan: Plan, done: Done | None) -> str:
    """What to do next; why nothing goes; "" where everything was done."""
    if not plan.steps:
        return f"Nothing goes now: {plan.because}"
    return "" if done else _AGAIN
