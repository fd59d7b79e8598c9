"""Attempts that are killed at random moments, and attempts that go on where they were cut off."""

from __future__ import annotations

import os
import random
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import cv2
import psycopg
import pytest

from analyzer.contract import SampleMode
from analyzer.pipeline.run import Listener, Task, analyse
from analyzer.store.base import KEYS, SegmentRows, Store, Work
from analyzer.store.folder import FolderStore
from analyzer.store.place import LocalPlace
from analyzer.store.postgres import PostgresStore
from analyzer.video.decoder import DEATHS_MAX
from lifecycle.rehearsal.services.postgres import Postgres
from tests.fakes.coloured_people import Walker, coloured_backends, draw_clip

pytestmark = pytest.mark.rehearsal

KILLS = 25
SEGMENT_MS = 1000
SECONDS = 10
# Nothing here takes so long; what does, hangs.
PATIENCE_S = 60.0
WALKERS = (
    Walker(left=10),
    Walker(left=150, top=80, first_s=1, last_s=7, height=80, face=False),
    Walker(left=60, top=100, first_s=6),
)


class Victim(StrEnum):
    """Who is killed: the attempt alone, all of its processes at once, or the decoding child alone."""

    ATTEMPT = "attempt"
    GROUP = "group"
    DECODER = "decoder"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "walkers.mp4"
    return draw_clip(path, WALKERS, seconds=SECONDS, fps=5, keyframe_every=5, cut_s=4)


@dataclass(frozen=True)
class Session:
    """One session of the clip; `folder` takes thumbnails, and rows too where there is no `dsn`."""

    name: str
    clip: Path
    folder: Path
    dsn: str | None

    def open(self) -> Store:
        return FolderStore(LocalPlace(self.folder)) if self.dsn is None else PostgresStore(self.dsn)

    def run(self, note: Callable[[str], None]) -> None:
        """One attempt, to its end; tells `note` of every segment that is begun and that is committed."""
        with closing(_Noted(self.open(), note)) as store:
            store.check()
            claim = store.claim(Work(session_id=self.name, fingerprint="f", video_url="v", request={}))
            if claim.finished is None:
                task = Task(
                    path=self.clip, name="clip", mode=SampleMode.FPS, fps=5, prompt="Colour", segment_ms=SEGMENT_MS
                )
                listener = Listener(opened=lambda _: None, frame=lambda _: None, committed=lambda _: None)
                place = LocalPlace(self.folder)
                analyse(task, coloured_backends(), store, place.put, claim, listener)
                store.finish({"status": "succeeded"})

    def rows(self) -> Mapping[str, Any]:
        """All that is stored, without the session's name, and the thumbnails."""
        pictures = {path.name: path.read_bytes() for path in (self.folder / "thumbnails").glob("*")}
        if self.dsn is None:
            tables = {table: (self.folder / f"{table}.jsonl").read_text().replace(self.name, "") for table in KEYS}
            return {**pictures, **tables}
        with psycopg.connect(self.dsn) as connection:
            return pictures | {
                str(table): [
                    {**row[0], "session_id": ""}
                    for row in connection.execute(
                        f"select to_jsonb(t) from {table} t where session_id = %s order by {', '.join(keys)}",
                        [self.name],
                    )
                ]
                for table, keys in KEYS.items()
            }


class _Noted:
    """A store that tells what it is asked, and otherwise is the one it was made of."""

    def __init__(self, store: Store, note: Callable[[str], None]) -> None:
        self._store, self._note = store, note

    def begin(self, segment: int) -> int:
        self._note(f"begin {segment}")
        return self._store.begin(segment)

    def commit(self, rows: SegmentRows) -> None:
        self._store.commit(rows)
        self._note(f"commit {rows.segment}")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@dataclass
class Attempt:
    """A forked process that runs one attempt; `told` is what it noted."""

    session: Session
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        # A fork has none of the threads that OpenCV believes to have, and would wait for them for ever: they end before.
        cv2.setNumThreads(1)
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _become(self.session, writer)
        # Here too: whoever comes first, the group is there when the first signal goes to it.
        os.setpgid(self.pid, self.pid)
        os.close(writer)
        self._reader = reader
        self._ended = os.pidfd_open(self.pid)

    def listen(self, until_s: float, *, stop_at_commit: bool = False) -> bool:
        """Take notes until a moment, or the first commit; returns whether the process ended before."""
        while (left_s := until_s - time.monotonic()) > 0:
            ready, _, _ = select.select([self._reader], [], [], left_s)
            if ready:
                text = os.read(self._reader, 4096).decode()
                if not text:
                    return True
                self.told += text.splitlines()
                if stop_at_commit and _committed(self.told):
                    return False
        return False

    def decoders(self) -> list[int]:
        found: list[int] = []
        with suppress(OSError):
            for task in Path(f"/proc/{self.pid}/task").iterdir():
                with suppress(OSError):
                    found += [int(each) for each in (task / "children").read_text().split()]
        return found

    def kill(self, victim: Victim) -> None:
        """Strike; no decoder may outlive its attempt."""
        watched = []
        for decoder in self.decoders():
            with suppress(OSError):
                watched.append(os.pidfd_open(decoder))
        match victim:
            case Victim.ATTEMPT:
                os.kill(self.pid, signal.SIGKILL)
            case Victim.GROUP:
                os.killpg(self.pid, signal.SIGKILL)
            case Victim.DECODER:
                for pidfd in watched:
                    with suppress(ProcessLookupError):
                        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        for pidfd in watched:
            ended, _, _ = select.select([pidfd], [], [], 5)
            os.close(pidfd)
            assert ended, "a decoder outlived its attempt"

    def end(self) -> int:
        """Wait for it; returns its exit code, or minus the signal that ended it."""
        assert self.listen(time.monotonic() + PATIENCE_S), "the attempt hangs"
        _, status = os.waitpid(self.pid, 0)
        os.close(self._reader)
        os.close(self._ended)
        return os.waitstatus_to_exitcode(status)


def _become(session: Session, writer: int) -> None:
    """What the forked process is, to its end."""
    code = 1
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        session.run(lambda text: os.write(writer, f"{text}\n".encode()) and None)
        code = 0
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(code)


@pytest.fixture(params=["folder", "postgres"])
def sessions(request: pytest.FixtureRequest, clip: Path, tmp_path: Path) -> Callable[[str], Session]:
    dsn = None
    if request.param == "postgres":
        running: Postgres = request.getfixturevalue("postgres")
        dsn = running.dsn
    return lambda name: Session(name, clip, tmp_path / name, dsn)


def test_attempts_killed_at_random_moments_leave_what_one_attempt_leaves(sessions: Callable[[str], Session]) -> None:
    dice = random.Random(20)
    begin_s = time.monotonic()
    clean = Attempt(sessions("clean"))
    assert clean.end() == 0
    taken_s = time.monotonic() - begin_s
    expected = clean.session.rows()
    assert [line for line in clean.told if line.startswith("commit")] == [f"commit {n}" for n in range(SECONDS)]
    kills, number, redone = 0, 0, 0
    while kills < KILLS:
        number += 1
        session, told, deaths = sessions(f"killed-{number}"), [*()], 0
        while True:
            attempt = Attempt(session)
            # One death more in the same segment, and it is left out: this attempt is cut off behind a commit only.
            spared = deaths == DEATHS_MAX - 1
            ended = spared and attempt.listen(time.monotonic() + PATIENCE_S, stop_at_commit=True)
            ended = ended or attempt.listen(time.monotonic() + dice.uniform(0, taken_s if not told else taken_s / 3))
            if not ended and kills < KILLS:
                victim = dice.choice(list(Victim))
                attempt.kill(victim)
                kills += 1
            code = attempt.end()
            redone += _redone(told, attempt.told)
            told += attempt.told
            if code == 0:
                break
            assert code == -signal.SIGKILL
            deaths = (0 if _committed(attempt.told) else deaths) + 1
        assert session.rows() == expected, f"session {number}"
    assert redone <= kills


def _redone(before: list[str], after: list[str]) -> int:
    """How many segments are begun once more; none is committed twice, and at most one is begun twice."""
    assert not _committed(before) & set(after)
    again = {line for line in before if line.startswith("begin")} & set(after)
    assert len(again) <= 1
    return len(again)


def _committed(told: list[str]) -> set[str]:
    return {line for line in told if line.startswith("commit")}
