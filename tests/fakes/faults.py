"""Ports whose calls fail, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lifecycle.errors import Inconclusive
from tests.fakes.ports import FakePorts
from tests.fakes.watched import WatchedPort

# What a person sees, and what the time is: nobody answers these over a network.
_OF_THIS_MACHINE = {"clock", "ui"}
_IN_REGIONS = {"amis_in", "channels_in"}


class Killed(BaseException):
    """`kill -9`: nothing catches it, and nothing of the run happens after it."""


class Broken:
    """`ports`, of which the call with number `at` (from 0) among those of the named ports fails once: before it did anything, or, with
    `is_lost`, after. Without names all ports count but the terminal and the clock, and the calls that the engine makes to AWS in the
    course of a call to `stack`.

    It fails with `error`, or as AWS does that throttles; after `Killed` every other call fails too. `calls` holds what was called, and
    `before` is told the number of each.
    """

    def __init__(
        self,
        ports: FakePorts,
        *names: str,
        at: int | None = None,
        is_lost: bool = False,
        error: BaseException | None = None,
        before: Callable[[int], object] = lambda number: None,
    ) -> None:
        self.calls: list[str] = []
        self._ports, self._names, self._at, self._is_lost, self._error = ports, names, at, is_lost, error
        self._before = before
        self._killed: Killed | None = None

    def __getattr__(self, name: str) -> Any:
        port = getattr(self._ports, name)
        if name in _IN_REGIONS:
            return lambda region: self._watched(name, port(region))
        return self._watched(name, port)

    def call(self, what: str, effect: Callable[[], Any]) -> Any:
        """One call of those that count."""
        if self._killed:
            raise self._killed
        number = len(self.calls)
        self.calls.append(what)
        self._before(number)
        fails = number == self._at
        if fails and not self._is_lost:
            raise self._failure(f"AWS refused {what}")
        with self._engine(what):
            result = effect()
        if fails:
            raise self._failure(f"The answer to {what} was lost")
        return result

    def _watched(self, name: str, port: Any) -> Any:
        counts = name in self._names if self._names else name not in _OF_THIS_MACHINE
        return WatchedPort(name, port, self.call) if counts else port

    @contextmanager
    def _engine(self, what: str) -> Iterator[None]:
        """The engine makes its calls to AWS in the name of whoever asked for them."""
        stack = self._ports.stack
        if self._names or not what.startswith("stack."):
            yield
            return
        others, stack.call = stack.call, self.call
        try:
            yield
        finally:
            stack.call = others

    def _failure(self, message: str) -> BaseException:
        if isinstance(self._error, Killed):
            self._killed = self._error
        return self._error or Inconclusive("aws-throttled", message)
