"""What `ami prune` and `image prune` have in common on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifecycle.cli.context import Invocation
    from lifecycle.domain.plan import Done, Plan

_AGAIN = "Nothing was changed; run again with `--apply`"


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
