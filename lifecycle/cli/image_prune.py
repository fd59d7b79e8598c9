"""`capctl image prune`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from lifecycle.cli import image_repository_documents
from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.cli.image_ls import image_name
from lifecycle.cli.pruning import carry_out, ending, prune_options
from lifecycle.cli.render import reasons_text, table
from lifecycle.domain.digest import brief
from lifecycle.domain.measures import age_text, counted, size_text

if TYPE_CHECKING:
    from datetime import datetime

    from lifecycle.domain.plan import Done
    from lifecycle.workflows.prune_images import ImagePruning


@click.command()
@prune_options(applies="Delete; without it nothing is changed.", limit="")
@pass_invocation
def command(invocation: Invocation, applies: bool, max_deletions: int, dry_run: bool) -> None:
    """Show which images stay, why, and what they take; with --apply, delete those that nothing needs.

    A deleted image does not come back. While anything that may use an image cannot be read, all images stay; so do the newest ones,
    what was pushed or pulled lately, and what somebody tagged by hand (`image.retention`). docs/removal.md says what is not seen.
    """
    from lifecycle.workflows.prune_images import plan_prune_images, unproven_images

    app = invocation.app
    with app.ui.step("read the images and everything that may use them"):
        pruning = plan_prune_images(app, app.target, most=max_deletions)
    done = carry_out(invocation, pruning.plan, applies=applies, dry_run=dry_run)
    if not dry_run:
        now, failure = app.clock.now(), unproven_images(pruning, done)
        document = image_repository_documents.image_prune(pruning, done, now=now)
        nothing = f"Repository `{app.target.repository_name}` has no images"
        invocation.emit(
            "capctl.image-prune/1", document, partial(_text, pruning, done, now), nothing=nothing, failure=failure
        )


def _text(pruning: ImagePruning, done: Done | None, now: datetime) -> str:
    from lifecycle.domain.image_retention import ImageFate
    from lifecycle.workflows.prune_images import DELETED, freed_images, image_outcomes

    outcomes = image_outcomes(done)
    rows = [
        (
            brief(one.image.digest),
            image_name(one.image, one.kind),
            age_text(one.image.age(now)),
            ImageFate.KEEP if outcomes.get(one.image.digest, DELETED) != DELETED else one.fate,
            f"{'<= ' if one.freed.is_upper_bound else ''}{size_text(one.freed.bytes)}",
            brief(outcomes.get(one.image.digest) or reasons_text(one.reasons)),
        )
        for one in pruning.verdicts
    ]
    if not rows:
        return ""
    freed, gone = freed_images(pruning, done), [*outcomes.values()].count(DELETED)
    most, goes = "<= " if freed.is_upper_bound else "", "went" if done else "would go"
    saved = f"{most}{size_text(freed.bytes)} and {freed.cost} per month saved by what {goes}"
    if not (gone if done else pruning.plan.steps):
        saved = ""
    missed = ""
    if done and (spared := len(pruning.plan.steps) - gone):
        missed = f"{counted(spared, 'image')} stayed after all" if gone else "Nothing was deleted after all"
        missed = f"{missed}: the rows say why"
    shown = table(("digest", "tag", "age", "verdict", "frees", "why"), rows, prose=("why",))
    return "\n".join(filter(None, (shown, saved, missed, ending(pruning.plan, done))))
