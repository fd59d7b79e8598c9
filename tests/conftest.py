"""What all tests share: nothing may skip, and nothing is drawn by chance, where CAPCTL_NO_SKIP is set; and which tests one process runs
together."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

_ROOT = Path(__file__).parents[1]
# A rehearsal that is kept takes more than a minute to bring up.
_DEAR = "tests.rehearsal.kept_stage"


class _Skips:
    """Remembers what was skipped, also by the processes of a run that is spread over several."""

    def __init__(self) -> None:
        self._found: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
            self._found.append(f"{report.nodeid}: {why}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._found and os.environ.get("CAPCTL_NO_SKIP"):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._found and os.environ.get("CAPCTL_NO_SKIP"):
            terminalreporter.section("skipped, though CAPCTL_NO_SKIP is set")
            for line in self._found:
                terminalreporter.line(line)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Skips())
    # An example takes longer where the machine is busy. And what is drawn is drawn anew by whoever works on the code, while a change is
    # judged by what is the same for every change.
    hypothesis.settings.register_profile("capctl", deadline=None, derandomize="CAPCTL_NO_SKIP" in os.environ)
    hypothesis.settings.load_profile("capctl")


class _Modules(LoadFileScheduling):
    """A module's tests run in one process, one after another; those of all modules that use what is dear in the same one."""

    def _split_scope(self, nodeid: str) -> str:
        module = super()._split_scope(nodeid)
        return _DEAR if _DEAR in (_ROOT / module).read_text() else module


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _Modules:
    return _Modules(config, log)
