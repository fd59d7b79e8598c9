"""The item of the turn: who has it, who had it, and which turns recorded a deployment."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from lifecycle.adapters.aws.table import ReleasesTable
from lifecycle.adapters.processes import Process
from lifecycle.domain.deployment import Holder
from lifecycle.domain.moments import told_moment

KEY = {"id": {"S": "turn"}}
# As many as anybody asks for at once, and as DynamoDB gives in one answer.
MOST_DEPLOYMENTS = 100
# Whoever changes a stack meets the lock that a dead run left there: so many runs do not all fail before that.
MOST_PAST = 20

NUMBERS = {"pid", "began"}
TEXTS = {field.name for field in fields(Holder)} - NUMBERS


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTurn:
    """A turn that is over: given back, or taken from a holder that was gone. `since` is in ISO 8601.

    Nothing was begun in it after `until_ms`, by the clock of its holder: then it ended, or would have stopped itself.
    """

    host: str
    machine: str
    since: str
    until_ms: int

    @property
    def item(self) -> dict[str, Any]:
        """As the table keeps it."""
        texts = {name: {"S": getattr(self, name)} for name in ("host", "machine", "since")}
        return {"M": {**texts, "until_ms": {"N": str(self.until_ms)}}}

    def has_begun(self, host: str, at: str) -> bool:
        """Whether what was begun on that host at that moment, in ISO 8601, was begun by its holder."""
        since, moment, until = (
            told_moment(self.since),
            told_moment(at),
            datetime.fromtimestamp(self.until_ms / 1000, UTC),
        )
        return self.host == host and since is not None and moment is not None and since <= moment <= until

    def is_gone(self, pid: int) -> bool:
        """Whether a process that its holder began is gone: it may outlive the holder, which only its own machine sees."""
        process = Process(machine=self.machine, pid=pid, began=0)
        return process.is_gone or not process.is_here


def read_item(table: ReleasesTable) -> dict[str, Any]:
    """The item of the turn, read consistently; empty before the first turn."""
    with table.doing("looking whose turn it is to deploy") as dynamodb:
        answer = dynamodb.get_item(TableName=table.name, Key=KEY, ConsistentRead=True)
    item: dict[str, Any] = answer.get("Item") or {}
    return item


def holder_of(item: dict[str, Any]) -> Holder | None:
    """Who has the turn by its item; None when it was given back."""
    if "run_id" not in item:
        return None
    numbers = {name: int(item.get(name, {"N": "0"})["N"]) for name in NUMBERS}
    return Holder(**{name: item.get(name, {"S": ""})["S"] for name in TEXTS}, **numbers)  # type: ignore[arg-type]


def recorded_in(item: dict[str, Any]) -> tuple[int, ...] | None:
    """The numbers of the last turns that recorded a deployment, newest first; None where an earlier version of capctl noted none."""
    return tuple(int(number["N"]) for number in item["recorded"]["L"]) if "recorded" in item else None


def past_in(item: dict[str, Any]) -> tuple[PastTurn, ...]:
    """The last turns that are over, newest first."""
    return tuple(
        PastTurn(
            **{name: one["M"][name]["S"] for name in ("host", "machine", "since")},
            until_ms=int(one["M"]["until_ms"]["N"]),
        )
        for one in item.get("past", {"L": []})["L"]
    )


def past_of(item: dict[str, Any]) -> PastTurn | None:
    """The turn of an item whose holder is gone, as one that is over; None where it was given back."""
    holder = holder_of(item)
    if holder is None:
        return None
    until_ms = int(item["until_ms"]["N"])
    return PastTurn(host=holder.host, machine=holder.machine, since=holder.since, until_ms=until_ms)


def is_dead(holder: Holder) -> bool:
    """Whether the process certainly does nothing any more."""
    return Process(machine=holder.machine, pid=holder.pid, began=holder.began).is_gone
