"""The turn to change what is deployed: one item in DynamoDB, which its holder keeps alive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lifecycle.adapters.aws.errors import error_code
from lifecycle.adapters.aws.table import ReleasesTable
from lifecycle.adapters.aws.turn_item import (
    KEY,
    MOST_DEPLOYMENTS,
    MOST_PAST,
    NUMBERS,
    TEXTS,
    PastTurn,
    holder_of,
    is_dead,
    past_in,
    past_of,
    read_item,
    recorded_in,
)
from lifecycle.domain.deployment import Holder
from lifecycle.errors import CapctlError, Interrupted

if TYPE_CHECKING:
    from lifecycle.ports.clock import Clock

# How long a turn counts without a sign of life, and how often its holder gives one. Long enough for a network that is gone for a while,
# short enough that nobody thinks about breaking it by hand.
LEASE_S = 60.0
BEAT_S = 15.0


class HeldTurn:
    """`ports.Turn`, from `take` to `give_back`.

    `recorded` is as `recorded_in` tells, by this turn and those before.
    """

    def __init__(self, table: ReleasesTable, clock: Clock, holder: Holder) -> None:
        self.holder = holder
        self.number = 0
        self.recorded: tuple[int, ...] | None = None
        self._past: tuple[PastTurn, ...] = ()
        self._table = table
        self._clock = clock
        self._seen_alive_s = 0.0
        self._is_lost = False
        self._ended = Event()

    def take(self) -> None:
        """Take the turn. Raises `CapctlError("deploy-locked")` while another run has it that may be alive."""
        if self._taken("attribute_not_exists(run_id)", {}):
            return
        seen = self._item()
        before = holder_of(seen)
        if self._is_ours(seen):
            return
        if before and not is_dead(before):
            self._require_silence(seen, before)
        # Who renewed it, or took it, at the last moment has it.
        if self._taken_over(seen) or self._taken("attribute_not_exists(run_id)", {}):
            return
        now = self._item()
        if not self._is_ours(now):
            raise _locked(holder_of(now) or self.holder)

    def _taken_over(self, seen: dict[str, Any]) -> bool:
        """Whether the turn still was as it was `seen`, and so was taken. What its holder began is known for over from then on."""
        gone = past_of(seen)
        if gone is None:
            return False
        return self._taken(
            "run_id = :seen_run AND beat = :seen_beat",
            {":seen_run": seen["run_id"], ":seen_beat": seen["beat"], ":past": _listed((gone, *past_in(seen)))},
            sets="past = :past, ",
        )

    def _is_ours(self, item: dict[str, Any]) -> bool:
        """Whether a write of this run was made whose answer was lost, so that botocore wrote again and was refused."""
        if item.get("run_id") != {"S": self.holder.run_id}:
            return False
        self._remember(item)
        self._seen_alive_s = self._clock.monotonic()
        return True

    def _remember(self, item: dict[str, Any]) -> None:
        self.number = int(item["number"]["N"])
        self.recorded, self._past = recorded_in(item), past_in(item)

    def require(self) -> None:
        if self._is_lost or self._clock.monotonic() - self._seen_alive_s > LEASE_S:
            raise _lost()

    def note_deployment(self, before: tuple[int, ...]) -> None:
        """Note that this turn records a deployment, as those of the numbers `before` did, newest first. Raises `turn-lost`."""
        recorded = (self.number, *before)[:MOST_DEPLOYMENTS]
        listed = {"L": [{"N": str(number)} for number in recorded]}
        if not self._updated("SET recorded = :recorded", {":recorded": listed}):
            raise _lost()
        self.recorded = recorded

    def keep_alive(self) -> None:
        """Give signs of life, until the turn is given back."""
        Thread(target=self._beat, daemon=True).start()

    def renew(self) -> None:
        """Give a sign of life; trouble on the way is none, until the turn counts no more."""
        now_s = self._clock.monotonic()
        try:
            is_ours = self._updated(
                "SET until_ms = :until ADD beat :one", {":until": self._until(), ":one": {"N": "1"}}
            )
        except Interrupted:
            raise
        except CapctlError:
            return
        self._is_lost = not is_ours
        if is_ours:
            self._seen_alive_s = now_s

    def give_back(self) -> None:
        """Let others have the turn; where that fails, it runs out by itself."""
        self._ended.set()
        try:
            self._updated(
                f"SET past = :past REMOVE {', '.join(f'#{name}' for name in sorted(TEXTS | NUMBERS))}",
                {":past": _listed((self._as_past(), *self._past))},
            )
        except Interrupted:
            raise
        except CapctlError:
            return

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_S) and not self._is_lost:
            self.renew()

    def _require_silence(self, seen: dict[str, Any], before: Holder) -> None:
        """Return once the holder has given no sign of life for a whole lease, by this machine's clock: two clocks may differ."""
        left_s = int(seen["until_ms"]["N"]) / 1000 - self._clock.now().timestamp()
        # More than a lease cannot be left: its clock is ahead of this one.
        if 0 < left_s <= LEASE_S:
            raise _locked(before)
        begun_s = self._clock.monotonic()
        while self._clock.monotonic() - begun_s < LEASE_S:
            self._clock.sleep(BEAT_S / 3)
            again = self._item()
            if "run_id" not in again:
                return
            if again.get("beat") != seen.get("beat") or again["run_id"] != seen["run_id"]:
                raise _locked(holder_of(again) or before)

    def _taken(self, condition: str, values: dict[str, Any], *, sets: str = "") -> bool:
        item = {**{name: {"S": value} for name, value in self._told(TEXTS)}}
        item |= {name: {"N": str(value)} for name, value in self._told(NUMBERS)}
        told = ", ".join(f"#{name} = :{name}" for name in sorted(item))
        now_s = self._clock.monotonic()
        answer = self._update(
            f"SET {sets}{told}, until_ms = :until ADD #number :one, beat :one",
            condition,
            {
                **{f":{name}": value for name, value in item.items()},
                ":until": self._until(),
                ":one": {"N": "1"},
                **values,
            },
            {"#number": "number", **{f"#{name}": name for name in item}},
        )
        if answer is None:
            return False
        self._remember(answer)
        self._seen_alive_s = now_s
        return True

    def _updated(self, expression: str, values: dict[str, Any]) -> bool:
        """Whether the turn still was this run's, and so was changed."""
        names = {f"#{name}": name for name in TEXTS | NUMBERS if f"#{name}" in expression} | {"#number": "number"}
        mine = {":me": {"S": self.holder.run_id}, ":mine": {"N": str(self.number)}}
        return self._update(expression, "run_id = :me AND #number = :mine", {**values, **mine}, names) is not None

    def _update(
        self, expression: str, condition: str, values: dict[str, Any], names: dict[str, str]
    ) -> dict[str, Any] | None:
        with self._table.doing("taking the turn to deploy") as dynamodb:
            try:
                answer = dynamodb.update_item(
                    TableName=self._table.name,
                    Key=KEY,
                    UpdateExpression=expression,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=values,
                    ExpressionAttributeNames=names,
                    ReturnValues="ALL_NEW",
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                return None
        found: dict[str, Any] = answer["Attributes"]
        return found

    def _item(self) -> dict[str, Any]:
        return read_item(self._table)

    def _told(self, names: set[str]) -> list[tuple[str, Any]]:
        return [(name, value) for name, value in asdict(self.holder).items() if name in names]

    def _as_past(self) -> PastTurn:
        return PastTurn(
            host=self.holder.host, machine=self.holder.machine, since=self.holder.since, until_ms=self._now_ms()
        )

    def _until(self) -> dict[str, str]:
        return {"N": str(self._now_ms() + int(LEASE_S * 1000))}

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def _listed(past: Sequence[PastTurn]) -> dict[str, Any]:
    return {"L": [turn.item for turn in past[:MOST_PAST]]}


def _lost() -> CapctlError:
    return CapctlError(
        "turn-lost",
        "This run could not show for too long that it is alive, and another one may change what is deployed by now",
        hint="Look at `capctl history`; when nothing else is at work, `capctl deploy --resume` goes on",
    )


def _locked(holder: Holder) -> CapctlError:
    return CapctlError(
        "deploy-locked",
        f"Another run changes what is deployed: {holder}",
        hint=f"Wait for it; if it was killed, its turn runs out within {LEASE_S:g} s and the same command goes on then",
    )
