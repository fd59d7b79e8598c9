"""Documents about what was deployed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lifecycle.cli.documents import Document, error, pointer_fields, utc
from lifecycle.cli.smoke_documents import smoke

if TYPE_CHECKING:
    from lifecycle.domain.shipment import Shipment
    from lifecycle.workflows.history import Event


def history(events: Iterable[Event]) -> Document:
    """The last deployments and rollbacks, newest first.

    `outcome` is `promoted`, `rolled-back`, `inconclusive`, `aborted`, `failed`, `overtaken`, `running` or `killed`; `stage` is where a
    deployment is or ended; `error` is the code of what ended it. `number` and `seconds` are `null` for a rollback, `seconds` also while a
    deployment goes on. `ami` and `image` are those of the release, which `capctl deploy` takes, also of one that is gone; each is `null`
    where no record tells it.
    """
    return {
        "events": [
            {
                "at": utc(event.at),
                "what": event.what,
                "number": event.number,
                "release_id": event.release_id,
                "ami": event.ami_id or None,
                "image": event.image or None,
                "replaces": event.replaces,
                "outcome": event.outcome,
                "stage": event.stage,
                "by": event.by,
                "why": event.why,
                "error": event.error,
                "seconds": event.seconds,
            }
            for event in events
        ]
    }


def shipment(made: Shipment) -> Document:
    """What a release came to, also when a stage failed: then `failure` is its error, with the fields of `capctl.error/1`, else `null`.

    `changed` says whether any stage changed anything. The `outcome` of a stage is `changed`, `unchanged`, `left-out`, `not-reached`,
    `failed`, `inconclusive`, `partly-applied`, `rolled-back` or `interrupted`. `pointer_before` is the pointer as it was found, `pointer`
    as it is now, each `null` where there is none or it cannot be read. `roll_back_to` is the release that took jobs before, `null` where
    the pointer was not moved or pointed nowhere. `commit` is git's HEAD, of which `uncommitted` files differ; `null` and empty for an
    image that was named.
    """
    source = made.source
    return {
        "changed": made.is_changed,
        "release_id": made.release_id or None,
        "ami": made.ami,
        "image": str(made.image) if made.image else None,
        "commit": source.commit if source else None,
        "uncommitted": list(source.uncommitted) if source else [],
        "pointer": pointer_fields(made.after) if made.after else None,
        "pointer_before": pointer_fields(made.before) if made.before else None,
        "roll_back_to": made.way_back or None,
        "seconds": round(made.seconds, 3),
        "stages": [
            {"name": stage.name, "outcome": stage.outcome, "seconds": round(stage.seconds, 3), "told": stage.told}
            for stage in made.stages
        ],
        "smoke": smoke(made.smoke) if made.smoke else None,
        "warnings": list(made.warnings),
        "failure": error(made.failure) if made.failure else None,
    }
