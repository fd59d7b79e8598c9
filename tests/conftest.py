"""What all tests share: nothing may skip where CAPCTL_NO_SKIP is set, and which tests one process runs together."""

from __future__ import annotations

import os

import pytest

# The fixture of what is dear to bring up: the tests that use it share it.
_DEAR = "rehearsals"


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A module's tests stay in one process, and the modules that use what is dear share one."""
    dear = {item.location[0] for item in items if _DEAR in getattr(item, "fixturenames", ())}
    for item in items:
        module = item.location[0]
        item.add_marker(pytest.mark.xdist_group(_DEAR if module in dear else module))
