"""`capctl ami prune`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from lifecycle.cli import ami_removal_documents
from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.cli.pruning import carry_out, ending, prune_options
from lifecycle.cli.render import reasons_text, table
from lifecycle.domain.measures import age_text, counted, first_few, size_text

if TYPE_CHECKING:
    from datetime import datetime

    from lifecycle.domain.ami import SnapshotRecord
    from lifecycle.domain.plan import Done
    from lifecycle.workflows.prune import Pruning

_NAMED = 5  # stray snapshots that are named; the document has all


@click.command()
@prune_options(
    applies="Disable and remove; without it nothing is changed.",
    limit=": as many AMIs are disabled, and as many AMIs and snapshots removed",
)
@pass_invocation
def command(invocation: Invocation, applies: bool, max_deletions: int, dry_run: bool) -> None:
    """Show which AMIs stay, why, and what they cost; with --apply, remove those that nobody needs.

    Removal takes two runs. The first disables an AMI, which `capctl ami disable --undo` reverses. A later one deregisters it and deletes
    its snapshots, once `ami.retention.grace_hours` have passed and still nothing uses it. While anything that may use an AMI cannot be
    read, all AMIs stay.

    Undo it with `capctl ami disable --undo`, not in EC2: an AMI that was enabled and disabled there, without a launch in between, looks as
    if it had been disabled all along, and its grace goes on. Snapshots of AMIs that are gone, without a tag that says whose they are, are
    listed and left.
    """
    from lifecycle.workflows.prune import plan_prune, unproven

    app = invocation.app
    with app.ui.step("read the AMIs and everything that may use them"):
        pruning = plan_prune(app, app.target, most=max_deletions)
    done = carry_out(invocation, pruning.plan, applies=applies, dry_run=dry_run)
    if not dry_run:
        now, failure = app.clock.now(), unproven(pruning, done)
        document = ami_removal_documents.ami_prune(pruning, done, now=now)
        nothing = f"Project `{app.target.project}` has no AMIs in {app.target.region}"
        text = partial(_text, pruning, done, now)
        invocation.emit("capctl.ami-prune/1", document, text, nothing=nothing, failure=failure)


def _text(pruning: Pruning, done: Done | None, now: datetime) -> str:
    from lifecycle.workflows.prune import outcomes_of

    outcomes = outcomes_of(done)
    rows: list[tuple[object, ...]] = [
        (
            one.ami.id,
            age_text(one.ami.age(now)),
            one.fate,
            one.cost,
            outcomes.get(one.ami.id) or reasons_text(one.reasons),
        )
        for one in pruning.verdicts
    ]
    rows += [
        (one.snapshot.id, "-", one.fate, one.cost, outcomes.get(one.snapshot.id) or reasons_text(one.reasons))
        for one in pruning.orphans
    ]
    strays = _strays(pruning.strays) if pruning.strays else ""
    if not rows:
        return strays
    shown = table(("ami", "age", "verdict", "per month", "why"), rows, prose=("why",))
    saved = f"{pruning.saved} per month saved by what goes now, {pruning.saved_later} by what goes after the grace"
    goes = pruning.saved.usd or pruning.saved_later.usd
    return "\n".join(filter(None, (shown, saved if goes else "", strays, ending(pruning.plan, done))))


def _strays(snapshots: tuple[SnapshotRecord, ...]) -> str:
    """What belongs to nobody, in one line; no command of capctl removes it."""
    from lifecycle.domain.cost import monthly_usd

    names = [one.id for one in snapshots]
    stored = sum(one.size_gib * 2**30 if one.full_bytes is None else one.full_bytes for one in snapshots)
    cost = monthly_usd(snapshots)
    return (
        f"Nobody's: {counted(len(names), 'snapshot')} without tags, of AMIs that are gone, "
        f"{'<= ' if cost.is_upper_bound else ''}{size_text(stored)}, {cost} per month; look at them in EC2: "
        f"{first_few(names, most=_NAMED)}"
    )
