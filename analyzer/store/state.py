"""How a session stands, in the words of every store."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from analyzer.contract import Table
from analyzer.errors import Busy, RequestInvalid, RowsInvalid, Superseded


class State(StrEnum):
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"


FINISHED = (State.SUCCEEDED, State.PARTIAL)


def ended_well(outcome: Mapping[str, Any]) -> State:
    """The `status` of an outcome, `succeeded` where it has none. Raises: RowsInvalid, for any other."""
    status = outcome.get("status", State.SUCCEEDED)
    if status not in FINISHED:
        raise RowsInvalid("rows-invalid", f"Work does not finish as `{status}`")
    return State(status)


def ended_early(outcome: Mapping[str, Any]) -> State:
    """`interrupted` where the `status` of an outcome says so, else `failed`."""
    return State.INTERRUPTED if outcome.get("status") == State.INTERRUPTED else State.FAILED


def count_of(outcome: Mapping[str, Any], table: Table) -> int | None:
    """How many rows of `table` a finished session says that it has, None where it does not say."""
    counts = outcome.get("rows")
    return counts.get(str(table)) if isinstance(counts, Mapping) else None


def busy(session_id: str) -> Busy:
    return Busy(
        "session-busy",
        f"Another attempt works on the session `{session_id}`",
        hint="Submit the job again when that one has ended; it goes on with what was stored, or finds it finished",
    )


def superseded(session_id: str) -> Superseded:
    return Superseded(
        "attempt-superseded",
        f"Another attempt has taken the session `{session_id}`, because this one looked dead",
        hint="Nothing is lost: the other attempt goes on behind the last committed segment",
    )


def taken(url: str, holder: str, session_id: str) -> RequestInvalid:
    return RequestInvalid(
        "place-taken",
        f"`{url}` holds the session `{holder}`, and this one is `{session_id}`",
        hint="Give each session a place of its own; the same `--session` (a job: `SESSION_ID`) replaces what is there",
    )


def elsewhere(session_id: str, place: str | None) -> RequestInvalid:
    """`place` is where the pictures of the session's earlier attempts are, None where they were not kept."""
    if place is None:
        what, ways = "were not kept, since no result's place was named", "Name none again"
    else:
        what, ways = f"lie in `{place}`", "Name that place again"
    return RequestInvalid(
        "result-elsewhere",
        f"Pictures of the session `{session_id}`, which the result would name, {what}",
        hint=f"{ways}, or give another `--session` (a job: `SESSION_ID`), whose job makes its own",
    )
