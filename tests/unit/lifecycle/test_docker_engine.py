"""A container engine that keeps silent, and interruptions while it is asked, which libraries tell as failures of the engine."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from docker.errors import DockerException
from requests import ReadTimeout

from lifecycle.adapters import docker_engine
from lifecycle.adapters.docker_engine import DockerEngine
from lifecycle.adapters.local_engine import LocalEngine
from lifecycle.errors import CapctlError, Interrupted
from tests.failures import failure
from tests.fakes.tiny_images import image_of
from tests.fakes.ui import FakeUi

NAME = "vision:code-1"
SIGNAL = Interrupted("interrupted", "The command was interrupted by SIGINT", hint="Run it again")


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of something that takes connections and never answers; nobody waits long for it."""
    monkeypatch.setattr(docker_engine, "_ANSWER_S", 0.3)
    monkeypatch.setattr(docker_engine, "_PATIENCE_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("DOCKER_HOST", address)
        yield address


def test_engine_that_keeps_silent_is_waited_for_in_words_and_then_told(silent: str) -> None:
    ui = FakeUi()
    failed = failure(lambda: LocalEngine(ui).find(NAME))
    assert failed.code == "engine-missing"
    assert failed.message == (
        f"No container engine answers at `{silent}`: it took the connection, and no answer came within 0.3 s"
    )
    assert ui.lines == [f"Waiting for the container engine at `{silent}`"]


@dataclass
class Api:
    """An engine's; what is asked of it ends in `failure`, which came from `cause`, once it has taken some pieces of an image."""

    failure: Exception | None = None
    cause: Exception | None = None
    takes: int | None = None
    taken: list[bytes] = field(default_factory=list)

    def ping(self) -> None:
        pass

    def info(self) -> dict[str, Any]:
        return {}

    def images(self, **_: object) -> list[object]:
        return []

    def inspect_image(self, _name: str) -> dict[str, Any]:
        self._fail()
        return {"Id": "sha256:1"}

    def load_image(self, pieces: Iterator[bytes]) -> list[object]:
        while self.takes is None or len(self.taken) < self.takes:
            if not (piece := next(pieces, b"")):
                break
            self.taken.append(piece)
        self._fail()
        return []

    def _fail(self) -> None:
        if self.failure:
            raise self.failure from self.cause


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    made = Api()

    class Client:
        api = made

    monkeypatch.setattr("docker.from_env", lambda **_: Client)
    return made


@pytest.mark.parametrize("wrapped", [True, False])
def test_interruption_is_none_of_the_engines_failures(api: Api, wrapped: bool) -> None:
    api.failure, api.cause = (DockerException("Error while fetching"), SIGNAL) if wrapped else (SIGNAL, None)
    assert failure(lambda: DockerEngine(FakeUi()).image_id(NAME)) is SIGNAL


def test_interruption_before_the_engine_was_found_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def from_env(**_: object) -> None:
        raise DockerException("Error while fetching server API version") from SIGNAL

    monkeypatch.setattr("docker.from_env", from_env)
    assert failure(lambda: DockerEngine(FakeUi())) is SIGNAL


def test_engine_that_falls_silent_at_a_later_question_is_told(api: Api) -> None:
    engine = DockerEngine(FakeUi())
    api.failure = ReadTimeout("HTTPConnectionPool(host='localhost', port=None): Read timed out.")
    failed = failure(lambda: engine.image_id(NAME))
    assert (failed.code, failed.message) == (
        "engine-failed",
        f"The engine failed looking for `{NAME}`: no answer came in time",
    )


@pytest.mark.parametrize(("takes", "may_keep"), [(1, False), (None, True)])
def test_interrupted_load_says_whether_the_engine_may_keep_the_image(
    api: Api, takes: int | None, may_keep: bool
) -> None:
    api.failure, api.takes = SIGNAL, takes
    failed = failure(lambda: LocalEngine(FakeUi()).load(image_of("base"), NAME))
    assert isinstance(failed, Interrupted)
    assert ("may keep it" in failed.message) is may_keep
    assert (f"docker image rm {NAME}" in failed.hint) is may_keep


def test_interrupted_load_is_not_begun_once_more(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalEngine, "_known_layers", lambda *_: 1)
    api.failure, api.cause = DockerException("it broke off"), SIGNAL
    with pytest.raises(CapctlError) as failed:
        LocalEngine(FakeUi()).load(image_of("base", "code"), NAME)
    assert failed.value.code == "interrupted"
