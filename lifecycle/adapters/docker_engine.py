"""The container engine: it builds the base image, and runs images by hand; a push of code never needs it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import Any

import docker
from docker.errors import DockerException, ImageNotFound
from requests import ReadTimeout, RequestException
from urllib3.exceptions import HTTPError

from lifecycle.errors import CapctlError, Interrupted
from lifecycle.ports.ui import Ui

_SOCKET = "unix:///var/run/docker.sock"
# A base image holds hundreds of megabytes; the engine answers nothing while it compresses a layer.
_WORK_S = 900
_ANSWER_S = 30
_PATIENCE_S = 3.0
_STORE, _CONTAINERD = "driver-type", "io.containerd.snapshotter.v1"
_READ_ITS_LOG = "Read the engine's log (`journalctl -u docker`), and check the disk and the registry's address"


class DockerEngine:
    """Import, build, push and load. Errors: `CapctlError("engine-missing" | "engine-failed")`."""

    def __init__(self, ui: Ui) -> None:
        self._ui = ui
        self._where = os.environ.get("DOCKER_HOST") or _SOCKET
        try:
            with self._waiting():
                self._api: Any = docker.from_env(timeout=_ANSWER_S).api
                self._api.ping()
        except (DockerException, RequestException) as error:
            _raise_interruption(error)
            raise CapctlError(
                "engine-missing",
                f"No container engine answers at `{self._where}`: {_reason(error)}",
                hint=_way_to_engine(error),
            ) from error

    @property
    def ping(self) -> Mapping[str, str]:
        """Headers of its answer to a ping, which tell its versions."""
        with self._asked("telling its versions"):
            headers: Mapping[str, str] = self._api.get(f"{self._api.base_url}/_ping", timeout=_ANSWER_S).headers
            return headers

    def has(self, image: str) -> bool:
        """Whether the engine knows `image`."""
        with self._asked(f"looking for `{image}`"):
            return bool(self._api.images(name=image))

    def import_root(self, tar: Path, name: str, *, changes: Iterable[str]) -> None:
        """Import a root filesystem as an image."""
        repository, _, tag = name.rpartition(":")
        with self._working(f"importing `{tar.name}`"), tar.open("rb") as data:
            answer = self._api.import_image_from_data(data, repository=repository, tag=tag, changes=list(changes))
        if "error" in str(answer):
            raise CapctlError("engine-failed", f"The engine cannot import `{tar.name}`: {answer}", hint=_READ_ITS_LOG)

    def build(self, context: Path, name: str) -> None:
        """Build `name` with the classic builder, from a context tar that holds its Dockerfile."""
        with self._working(f"building `{name}`"), context.open("rb") as data:
            lines = self._api.build(fileobj=data, custom_context=True, tag=name, rm=True, forcerm=True, decode=True)
            self._follow(lines, f"building `{name}`")

    def push(self, name: str, *, credentials: Mapping[str, str] | None) -> None:
        """Push `name` (`host/repository:tag`)."""
        repository, _, tag = name.rpartition(":")
        with self._working(f"pushing `{name}`"):
            lines = self._api.push(repository, tag=tag, stream=True, decode=True, auth_config=credentials)
            self._follow(lines, f"pushing `{name}`")

    def untag(self, name: str) -> None:
        """Forget `name`, unless somebody has already; its layers stay in the engine's cache."""
        with self._working(f"forgetting `{name}`"), suppress(ImageNotFound):
            self._api.remove_image(name, noprune=True)

    def image_id(self, name: str) -> str | None:
        """The engine's id of the image of that name."""
        with self._asked(f"looking for `{name}`"):
            try:
                return str(self._api.inspect_image(name)["Id"])
            except ImageNotFound:
                return None

    def layers_by_image(self, labels: Sequence[str]) -> Iterator[tuple[str, ...]]:
        """The diff ids of every image with all of these labels (`name=value`), newest first, none of which has to be loaded again.

        Nothing where images are kept in containerd: it has their blobs, whose digests an image does not tell.
        """
        with self._asked("listing its images"):
            if [_STORE, _CONTAINERD] in (self._api.info().get("DriverStatus") or []):
                return
            listed = sorted(
                self._api.images(all=True, filters={"label": list(labels)}),
                key=lambda image: image["Created"],
                reverse=True,
            )
            for image in listed:
                with suppress(ImageNotFound):  # somebody has removed it since
                    yield tuple(self._api.inspect_image(image["Id"])["RootFS"].get("Layers") or ())

    def load(self, pieces: Iterator[bytes], name: str) -> None:
        """Load a tar of `docker save` in which an image has that name."""
        with self._working(f"loading `{name}`"):
            self._follow(self._api.load_image(pieces), f"loading `{name}`")

    @contextmanager
    def _asked(self, doing: str) -> Iterator[None]:
        """For questions, which an engine answers at once."""
        self._api.timeout = _ANSWER_S
        with _translated(doing), self._waiting():
            yield

    @contextmanager
    def _working(self, doing: str) -> Iterator[None]:
        self._api.timeout = _WORK_S
        with _translated(doing):
            yield

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Say what is waited for, if it takes long."""
        timer = Timer(_PATIENCE_S, self._ui.note, (f"Waiting for the container engine at `{self._where}`",))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _follow(self, lines: Iterable[Mapping[str, Any]], doing: str) -> None:
        # The engine answers 200 and reports failures in the stream.
        tail: list[str] = []
        for line in lines:
            if "error" in line:
                reason = str(line["error"]).strip()
                raise CapctlError(
                    "engine-failed",
                    f"The engine failed {doing}: {reason}",
                    hint=_READ_ITS_LOG,
                    details=tuple(tail[-15:]),
                )
            text = str(line.get("stream") or line.get("status") or "").rstrip()
            if text and "progress" not in line:
                tail.append(text)
                self._ui.detail(text)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from: the layers of libraries wrap errors up into one another's words."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _system_error(error: BaseException) -> OSError | None:
    """What the operating system said."""
    return next((each for each in _causes(error) if isinstance(each, OSError) and each.errno and each.strerror), None)


def _is_silence(error: BaseException) -> bool:
    return any(isinstance(each, ReadTimeout) for each in _causes(error))


def _raise_interruption(error: BaseException) -> None:
    """A signal is none of the engine's failures, though a library told it as one."""
    for each in _causes(error):
        if isinstance(each, Interrupted):
            raise each from None


def _way_to_engine(error: BaseException) -> str:
    if _is_silence(error):
        return "Read its log (`journalctl -u docker`) and start it again, or name another one with DOCKER_HOST"
    if isinstance(_system_error(error), PermissionError):
        return "Join the group that may use it (`usermod -aG docker`), or name another one with DOCKER_HOST"
    return "Start it (`systemctl start docker`), or name one with DOCKER_HOST; only `capctl image base` and `image load` need it"


def _reason(error: BaseException) -> str:
    if _is_silence(error):
        return f"it took the connection, and no answer came within {_ANSWER_S:g} s"
    known = _system_error(error)
    return known.strerror.lower() if known and known.strerror else str(error)


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    try:
        yield
    except (DockerException, RequestException, HTTPError) as error:
        _raise_interruption(error)
        reason = "no answer came in time" if _is_silence(error) else error
        raise CapctlError("engine-failed", f"The engine failed {doing}: {reason}", hint=_READ_ITS_LOG) from error
