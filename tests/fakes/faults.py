"""Ports whose calls fail, one at a time."""

from __future__ import annotations

from typing import Any

from lifecycle.errors import Inconclusive
from tests.fakes.ports import FakePorts


class Broken:
    """`ports`, of which the call with number `at` (from 0) among those of the named ports fails once: before it did anything, or, with
    `is_lost`, after. `calls` holds what was called."""

    def __init__(self, ports: FakePorts, *names: str, at: int | None = None, is_lost: bool = False) -> None:
        self.calls: list[str] = []
        self._ports, self._names, self._at, self._is_lost = ports, names, at, is_lost

    def __getattr__(self, name: str) -> Any:
        port = getattr(self._ports, name)
        return _Port(self, name, port) if name in self._names else port

    def call(self, what: str, method: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        self.calls.append(what)
        fails = len(self.calls) - 1 == self._at
        if fails and not self._is_lost:
            raise Inconclusive("aws-throttled", f"AWS refused {what}")
        result = method(*arguments, **options)
        if fails:
            raise Inconclusive("aws-throttled", f"The answer to {what} was lost")
        return result


class _Port:
    def __init__(self, broken: Broken, name: str, port: Any) -> None:
        self._broken, self._name, self._port = broken, name, port

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        return lambda *arguments, **options: self._broken.call(f"{self._name}.{name}", method, arguments, options)
