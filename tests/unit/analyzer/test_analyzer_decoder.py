"""The parent's side of decoding: children that hang, do not start, or start while nobody wants them any more."""

from __future__ import annotations

import errno
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from analyzer.errors import DependencyDown, Mismatch
from analyzer.video.decoder import Decoder, Sampling
from analyzer.video.watched import Watch
from tests.unit.analyzer.readings import ClipMaker, collect, read

PATIENCE_S = 20


class _Program:
    """Stands before `subprocess.Popen`; `before` sees the command of each child and may change it."""

    def __init__(self, before: Callable[[int, list[str]], list[str]]) -> None:
        self.started = 0
        self._before = before

    def __call__(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        self.started += 1
        return subprocess.Popen(self._before(self.started, command), **options)


def _with_program(monkeypatch: pytest.MonkeyPatch, before: Callable[[int, list[str]], list[str]]) -> _Program:
    program = _Program(before)
    monkeypatch.setattr("analyzer.video.watched.subprocess", SimpleNamespace(Popen=program, PIPE=subprocess.PIPE))
    return program


def test_a_decoder_that_hangs_before_its_first_word_is_started_again(
    make_clip: ClipMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip()
    whole = read(path)
    program = _with_program(monkeypatch, lambda number, command: ["sleep", "600"] if number == 1 else command)
    reading = collect(Decoder(path, Sampling(fps=10), name="clip", watch=Watch(start_s=3)))
    assert (reading.times, program.started) == (whole.times, 2)


def test_a_decoder_that_does_not_start_is_no_fault_of_the_video(
    make_clip: ClipMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ["sh", "-c", "echo ImportError: libav is missing >&2; exit 1"]
    _with_program(monkeypatch, lambda _, __: broken)
    with pytest.raises(Mismatch, match="code 1: ImportError: libav is missing") as caught:
        collect(Decoder(make_clip(), Sampling(), name="clip"))
    assert caught.value.code == "decoder-unstartable"


def test_a_machine_without_room_for_a_decoder_is_not_its_scratch_space(
    make_clip: ClipMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int, __: list[str]) -> list[str]:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    _with_program(monkeypatch, refuse)
    before = len([*Path("/proc/self/fd").iterdir()])
    with pytest.raises(DependencyDown, match="decodes: Cannot allocate memory") as caught:
        collect(Decoder(make_clip(), Sampling(), name="clip"))
    assert (caught.value.code, len([*Path("/proc/self/fd").iterdir()])) == ("decoder-not-started", before)


def test_a_decoder_imports_nothing_from_the_current_folder(
    make_clip: ClipMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip()
    (tmp_path / "av.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    assert read(path).times


def test_a_decoder_is_told_no_secret(make_clip: ClipMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://analyzer:word@db/analysis")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    # Two slots only, so that the child waits.
    decoder = Decoder(make_clip(), Sampling(fps=10), name="clip", watch=Watch(ring_bytes=1))
    events = iter(decoder)
    next(events)
    told = Path(f"/proc/{decoder.child_pid}/environ").read_text()
    decoder.close()
    list(events)
    assert "PYTHONPATH=" in told
    assert not {"DATABASE_URL", "AWS_SECRET_ACCESS_KEY"} & {each.partition("=")[0] for each in told.split("\0")}


def test_a_decoder_that_is_closed_while_its_child_starts_ends(
    make_clip: ClipMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip(frame_count=60)
    closing: list[threading.Thread] = []

    def close(_: int, command: list[str]) -> list[str]:
        closing.append(threading.Thread(target=decoder.close))
        closing[0].start()
        # Long enough for one that does not wait for the child.
        closing[0].join(0.2)
        return command

    _with_program(monkeypatch, close)
    decoder = Decoder(path, Sampling(fps=10), name="clip", watch=Watch(ring_bytes=1))
    # Nobody gives frames back, so a child that lives never ends.
    reading = threading.Thread(target=lambda: list(decoder), daemon=True)
    reading.start()
    reading.join(PATIENCE_S)
    assert not reading.is_alive()
