"""Documents about what was deployed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lifecycle.cli.documents import Document, utc

if TYPE_CHECKING:
    from lifecycle.workflows.history import Event


def history(events: Iterable[Event]) -> Document:
    """The last deployments and rollbacks, newest first.

    `outcome` is `promoted`, `rolled-back`, `inconclusive`, `aborted`, `running` or `killed`; `stage` is where a deployment is or ended;
    `error` is the code of what ended it. `number` and `seconds` are `null` for a rollback, `seconds` also while a deployment goes on.
    """
    return {
        "events": [
            {
                "at": utc(event.at),
                "what": event.what,
                "number": event.number,
                "release_id": event.release_id,
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
