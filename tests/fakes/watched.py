"""Ports of which every call can be watched."""

from collections.abc import Callable
from typing import Any

# Name of the call, such as `jobs.submit`, and the call itself.
Call = Callable[[str, Callable[[], Any]], Any]


class WatchedPort:
    """A port whose methods are called through `call`; it passes for what it watches, which no type can say."""

    def __init__(self, name: str, port: Any, call: Call) -> None:
        self._name, self._port, self._call = name, port, call

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._port, attribute)
        if not callable(found):
            return found
        return lambda *arguments, **options: self._call(
            f"{self._name}.{attribute}", lambda: found(*arguments, **options)
        )
