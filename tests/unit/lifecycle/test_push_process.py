"""`capctl image push` as a process: told to stop while the registry keeps it waiting, and where no cache can be."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.registry import FakeRegistry, Fault, Hold, serving
from tests.push_project import REPOSITORY, project_on, pushed, pushing

ENDS_WITHIN_S = 1.0


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRegistry]:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with serving() as fake:
        base = fake.add_image(REPOSITORY, {"rootfs": {"diff_ids": []}}, [b"base layer"])
        project_on(fake.url, base, tmp_path)
        yield fake


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(("method", "path"), [("HEAD", "manifests"), ("GET", "blobs"), ("PUT", "uploads")])
def test_it_ends_at_once_with_its_code_and_leaves_no_tag_and_the_next_one_succeeds(
    registry: FakeRegistry, tmp_path: Path, number: signal.Signals, method: str, path: str
) -> None:
    hold = Hold()
    registry.faults.append(Fault(method, path, hold=hold, times=2))
    running = pushing(tmp_path)
    assert hold.reached.wait(30)
    running.send_signal(number)
    sent = time.monotonic()
    out, said = running.communicate(timeout=30)
    assert time.monotonic() - sent < ENDS_WITHIN_S
    assert (running.returncode, json.loads(out)["code"]) == (130, "interrupted")
    assert f"error[interrupted]: The command was interrupted by {number.name}" in said
    assert "Traceback" not in said
    hold.released.set()
    assert registry.tags == {}
    assert [file.name for file in tmp_path.rglob("sha256/.*")] == []

    tag = pushed(tmp_path)["tag"]
    assert registry.tags.keys() == {(REPOSITORY, tag)}
    assert registry.is_complete(REPOSITORY, str(tag))


def test_it_needs_no_cache(registry: FakeRegistry, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for word in ("one", "two"):
        (tmp_path / "run.py").write_text(f"print({word!r})\n")
        tag = pushed(tmp_path, XDG_CACHE_HOME=str(tmp_path / "file"))["tag"]
        assert registry.is_complete(REPOSITORY, str(tag))
