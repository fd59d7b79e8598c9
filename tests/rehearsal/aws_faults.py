"""Calls to AWS of which one fails: it is refused, its answer is lost, or what it reads is from before the last write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from typing import Any

from botocore.exceptions import ClientError, ConnectionClosedError

from tests.rehearsal.past_emulator import PAST, REMEMBER

_READS = ("Describe", "Get", "Head", "List")
# What these answer may be from before a change that was made; S3 and STS answer with what is.
_EVENTUAL = ("ec2", "ssm")


class Fault(StrEnum):
    """What becomes of a call, past what botocore repeats by itself."""

    THROTTLED = "throttled"
    BROKEN = "broken"
    LOST = "lost"  # it took effect, and its answer never came


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An operation as AWS calls it."""

    service: str
    operation: str

    @property
    def is_read(self) -> bool:
        return self.operation.startswith(_READS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """The call with that number, from 0, fails so."""

    number: int
    fault: Fault


@dataclass(slots=True, kw_only=True)
class Early:
    """After each write the reads with number `first`, from 0, and with every `every`th after it do not know of the write.

    Needs the emulator of `past_emulator`. `told` are how many such reads there were, `since` how many of any kind since the last write,
    None before the first one.
    """

    first: int
    every: int
    told: int = 0
    since: int | None = None


class Calls:
    """The calls of clients in the order in which they are made; in a block of `watched` some of them may fail, or read the past."""

    def __init__(self, *clients: Any) -> None:
        self._made: list[Call] = []
        self._failing: Failing | None = None
        self._early: Early | None = None
        self._lock = Lock()
        for client in clients:
            client.meta.events.register("before-call", self._before)
            client.meta.events.register("after-call", self._after)

    @contextmanager
    def watched(self, failing: Failing | None = None, early: Early | None = None) -> Iterator[list[Call]]:
        """Yields what is called in the block."""
        self._made, self._failing, self._early = [], failing, early
        made = self._made
        try:
            yield made
        finally:
            self._made, self._failing, self._early = [], None, None

    def _before(self, model: Any, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        call = Call(service=model.service_model.service_name, operation=model.name)
        with self._lock:
            number = context["number"] = len(self._made)
            self._made.append(call)
            if self._early and call.service in _EVENTUAL:
                params["headers"].update(_place_in_time(call, self._early))
        failing = self._failing
        if failing and failing.number == number and failing.fault is not Fault.LOST:
            raise _refusal(failing.fault, model.name)

    def _after(self, model: Any, context: dict[str, Any], **_: Any) -> None:
        failing = self._failing
        if failing and failing.fault is Fault.LOST and context.get("number") == failing.number:
            raise ConnectionClosedError(endpoint_url=f"https://{model.name}")


def _place_in_time(call: Call, early: Early) -> dict[str, str]:
    """The headers that tell the emulator."""
    if not call.is_read:
        early.since = 0
        return {REMEMBER: "yes"}
    if early.since is None:
        return {}
    number, early.since = early.since, early.since + 1
    if number % early.every != early.first:
        return {}
    early.told += 1
    return {PAST: "yes"}


def _refusal(fault: Fault, operation: str) -> ClientError:
    code, status = ("RequestLimitExceeded", 503) if fault is Fault.THROTTLED else ("InternalError", 500)
    return ClientError(
        {"Error": {"Code": code, "Message": "a test asks"}, "ResponseMetadata": {"HTTPStatusCode": status}},
        operation,
    )


def early_reads(every: int) -> Iterator[Early]:
    """So many runs that in one of them each read after a write does not know of it.

    A look that takes so many reads, or half of them, would see the same past whenever it is repeated.
    """
    return (Early(first=first, every=every) for first in range(every))


def every_fault(made: list[Call]) -> Iterator[Failing]:
    """Each call fails; a read in one of the ways by turns, for none of them changes anything, and a write in each."""
    for number, call in enumerate(made):
        ways = list(Fault)
        for fault in [ways[number % len(ways)]] if call.is_read else ways:
            yield Failing(number=number, fault=fault)
