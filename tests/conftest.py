"""What all tests share: servers that several modules need; nothing may skip, and nothing is drawn by chance, where CAPCTL_NO_SKIP is set;
and which tests one process runs together."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from lifecycle.rehearsal.services.postgres import Postgres

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


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL with pgvector on loopback; who changes what others rely on makes a database of its own."""
    from lifecycle.rehearsal.services.postgres import Postgres, postgres_supported

    if why := postgres_supported():
        pytest.skip(why)
    with Postgres(tmp_path_factory.mktemp("postgres"), f"test-{uuid.uuid4().hex[:8]}") as running:
        yield running


@pytest.fixture(scope="session")
def object_store() -> Iterator[tuple[dict[str, str], Any]]:
    """An S3 server on loopback with the bucket `analyzer-videos`: the variables that lead to it, and a client."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-west-2",
    }
    client = boto3.client(
        "s3",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-west-2",
    )
    client.create_bucket(Bucket="analyzer-videos", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    try:
        yield variables, client
    finally:
        server.stop()
