"""`ports.Ports` made of fakes."""

from typing import Any

from tests.fakes.clock import FakeClock
from tests.fakes.journal import FakeJournal
from tests.fakes.ui import FakeUi


class FakePorts:
    """The ports that a test gives by name; `ui`, `clock` and `journal` are there anyway. Any other one fails the test."""

    def __init__(self, **given: Any) -> None:
        self._given = {"ui": FakeUi(), "clock": FakeClock(), "journal": FakeJournal()} | given

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        assert name in self._given, f"the code under test used the port `{name}`, which this test did not give"
        return self._given[name]
