"""Deployments in DynamoDB: the turn to deploy, and a record of each that had it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lifecycle.adapters.aws.table import ReleasesTable
from lifecycle.adapters.aws.turn import HeldTurn
from lifecycle.adapters.aws.turn_item import (
    MOST_DEPLOYMENTS,
    holder_of,
    is_dead,
    past_in,
    past_of,
    read_item,
    recorded_in,
)
from lifecycle.adapters.processes import Process
from lifecycle.adapters.this_run import this_user
from lifecycle.domain.deployment import Deployment, Holder, Outcome, Stage, Standing
from lifecycle.domain.digest import canonical_json
from lifecycle.errors import CapctlError

if TYPE_CHECKING:
    from lifecycle.adapters.aws.session import AwsSession
    from lifecycle.ports.clock import Clock


class DynamoDeployments:
    """`ports.Deployments` as items of the base stack's table: `turn`, and `deployment#` with the number of each."""

    def __init__(self, session: AwsSession, clock: Clock, *, table: str) -> None:
        self._table = ReleasesTable(session, table)
        self._clock = clock
        self._held: HeldTurn | None = None

    @contextmanager
    def turn(self, run_id: str, command: str) -> Iterator[HeldTurn]:
        held = HeldTurn(self._table, self._clock, self._this_process(run_id, command))
        held.take()
        self._held = held
        try:
            held.keep_alive()
            yield held
        finally:
            self._held = None
            held.give_back()

    def write(self, deployment: Deployment) -> None:
        held = self._held
        # Before the record, so that there is none that nobody finds.
        if held and held.number == deployment.number and held.number not in (held.recorded or ()):
            held.note_deployment(
                tuple(one.number for one in self.recent(MOST_DEPLOYMENTS)) if held.recorded is None else held.recorded
            )
        with self._table.doing(f"writing deployment {deployment.number}") as dynamodb:
            dynamodb.put_item(TableName=self._table.name, Item={**_key(deployment.number), **_item(deployment)})

    def recent(self, count: int) -> tuple[Deployment, ...]:
        return self._recent(read_item(self._table), count)

    def standing(self, count: int) -> Standing:
        turn = read_item(self._table)
        found = holder_of(turn)
        if found is None or is_dead(found):
            return Standing(recent=self._recent(turn, count))
        silent_s = max(self._clock.now().timestamp() - int(turn["until_ms"]["N"]) / 1000, 0.0)
        return Standing(recent=self._recent(turn, count), holder=found, silent_s=silent_s)

    def _recent(self, turn: dict[str, Any], count: int) -> tuple[Deployment, ...]:
        recorded, last = recorded_in(turn), int(turn.get("number", {"N": "0"})["N"])
        numbers = range(last, max(last - MOST_DEPLOYMENTS, 0), -1) if recorded is None else recorded[:count]
        items = self._table.items("reading the last deployments", [_key(number) for number in numbers])
        found = sorted(map(_deployment, items), key=lambda deployment: deployment.number, reverse=True)
        return tuple(found[:count])

    def is_over(self, host: str, pid: int, at: str) -> bool:
        """Whether it is certain that nobody is at work any more on what process `pid` of that host began at that moment, in ISO 8601.

        It is where that was within a turn that is over, whichever run found that out. What was begun without a turn may be anybody's:
        by the first bootstrap of a target, which makes the table, or by a person.
        """
        try:
            item = read_item(self._table)
        except CapctlError as error:
            if error.code == "base-missing":
                return False
            raise
        holder, last = holder_of(item), past_of(item)
        over = [*past_in(item), *((last,) if holder and last and is_dead(holder) else ())]
        begun = [turn for turn in over if turn.has_begun(host, at)]
        return bool(begun) and all(turn.is_gone(pid) for turn in begun)

    def _this_process(self, run_id: str, command: str) -> Holder:
        process = Process.here(os.getpid())
        return Holder(
            run_id=run_id,
            user=this_user(),
            host=os.uname().nodename,
            machine=process.machine,
            pid=process.pid,
            began=process.began,
            command=command,
            since=self._clock.now().isoformat(timespec="seconds"),
        )


def _key(number: int) -> dict[str, Any]:
    return {"id": {"S": f"deployment#{number}"}}


def _item(deployment: Deployment) -> dict[str, Any]:
    """What people ask a table for as attributes, the rest as JSON."""
    known: dict[str, Any] = {}
    if deployment.outcome:
        known["outcome"] = {"S": deployment.outcome.value}
    if deployment.dead_letters is not None:
        known["dead_letters"] = {"N": str(deployment.dead_letters)}
    if deployment.seen_version is not None:
        known["seen_version"] = {"N": str(deployment.seen_version)}
    return {
        "number": {"N": str(deployment.number)},
        "release_id": {"S": deployment.release_id},
        "replaces": {"S": deployment.replaces},
        "promoted_by": {"S": deployment.promoted_by},
        "reason": {"S": deployment.reason},
        "ended_at": {"S": deployment.ended_at},
        "error": {"S": deployment.error},
        "why": {"S": deployment.why},
        "holder": {"S": canonical_json(asdict(deployment.holder)).decode()},
        "record": {"S": deployment.record},
        "stages": {"L": [{"M": {"stage": {"S": stage}, "at": {"S": at}}} for stage, at in deployment.stages]},
        **known,
    }


def _deployment(item: dict[str, Any]) -> Deployment:
    names = ("release_id", "record", "replaces", "reason", "ended_at", "error", "why")
    stages = (entry["M"] for entry in item["stages"]["L"])
    return Deployment(
        number=int(item["number"]["N"]),
        holder=Holder(**json.loads(item["holder"]["S"])),
        stages=tuple((Stage(entry["stage"]["S"]), entry["at"]["S"]) for entry in stages),
        promoted_by=item.get("promoted_by", {"S": ""})["S"],
        seen_version=int(item["seen_version"]["N"]) if "seen_version" in item else None,
        dead_letters=int(item["dead_letters"]["N"]) if "dead_letters" in item else None,
        outcome=Outcome(item["outcome"]["S"]) if "outcome" in item else None,
        **{name: item[name]["S"] for name in names},
    )
