"""The emulator that the suites of the AWS ports run against, beside the fakes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from lifecycle.adapters.aws.session import AwsSession
from lifecycle.rehearsal.emulator.launch import Emulator, EmulatorOptions
from tests.fakes.targets import make_target


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    state = tmp_path_factory.mktemp("emulator")
    options = EmulatorOptions(state=state, rehearsal=f"test-{uuid.uuid4().hex[:8]}")
    with Emulator(options, module="tests.rehearsal.past_emulator") as running:
        yield running


@pytest.fixture
def emulated_session(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsSession]:
    """A session in the emulator's account."""
    yield from _session(emulator, tmp_path_factory)


@pytest.fixture(scope="module")
def lasting_session(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsSession]:
    """One for all tests of a module, where its clients take longer to make than they are used."""
    yield from _session(emulator, tmp_path_factory)


def _session(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsSession]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield AwsSession(make_target(tmp_path_factory.mktemp("project"), endpoint_url=emulator.endpoint))
