"""The parent's side of decoding: starts the child, watches it, and goes on behind what kills or stops it."""

from __future__ import annotations

import json
import mmap
import os
import selectors
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from analyzer.contract import SampleMode
from analyzer.errors import InputUnreadable, Mismatch
from analyzer.video.info import Position, SegmentSummary, VideoInfo
from analyzer.video.layout import Layout
from analyzer.video.messages import Message, Settings
from analyzer.video.planes import Colours, Frame

SEGMENT_MS = 30_000
RING_BYTES = 64 << 20
# Decoding one picture takes milliseconds; a child that is silent for so long, with room to write to, hangs.
SILENCE_MAX_S = 10.0
# The first start on a machine reads its libraries from a disk that may be slow.
START_MAX_S = 60.0
# Room for the reference pictures of 8K with many decoder threads; what asks for more is no video that anybody filmed.
MEMORY_LIMIT_BYTES = 12 << 30
# A segment that ends the child so often is left out.
STRIKES_MAX = 2
# An attempt dies of much that is not the video's fault: machines are taken away, and jobs are stopped. So many deaths in one segment are
# no chance.
DEATHS_MAX = 4
LAST_WORDS_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Which frames are looked at: at most `fps` a second, out of all frames or out of the keyframes only."""

    mode: SampleMode = SampleMode.FPS
    fps: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Limits of the child: how long it may be silent, also before its first word, how much it may address, how much memory pictures
    may wait in."""

    start_s: float = START_MAX_S
    silence_s: float = SILENCE_MAX_S
    memory_bytes: int = MEMORY_LIMIT_BYTES
    ring_bytes: int = RING_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The file is a video; at most `slots` of its frames can be held at a time."""

    info: VideoInfo
    slots: int


Event = Opened | Frame | SegmentSummary


class Decoder:
    """Reads one local file: `Opened` first, then frames, each segment's after the other, and its summary behind them.

    Decoders that work on several frames at once make other pictures of a damaged stream each time, so a child that meets damage is
    followed by one with a single thread, from where the segment began to where it ends; the next segment begins as after a restart.
    A child that dies or hangs is started again where the segment began that it was in; a segment that ends `STRIKES_MAX` children,
    or in which `DEATHS_MAX` earlier attempts died (`deaths`), is left out from there on, and its summary says why.
    Raises while iterating: InputUnreadable; Mismatch, when no child starts at all.
    """

    def __init__(
        self,
        path: Path,
        sampling: Sampling,
        *,
        name: str,
        position: Position | None = None,
        start_ms: int = 0,
        info: VideoInfo | None = None,
        deaths: int = 0,
        watch: Watch | None = None,
        segment_ms: int = SEGMENT_MS,
    ) -> None:
        self._watch = watch or Watch()
        self._name, self._position, self._start_ms = name, position, start_ms
        self._strikes = STRIKES_MAX if deaths >= DEATHS_MAX else 0
        self._reason = f"{deaths} attempts died in it"
        # The last time that was given out: a second child begins before it.
        self._last_ms = -1
        self._info = info
        self._is_opened = False
        self._careful = False
        self._closed = False
        # Held while a child is started, so that one that is closed meanwhile is not forgotten.
        self._starting = threading.Lock()
        self._child: _Child | None = None
        self._settings = Settings(
            path=str(path.resolve()),
            name=name,
            mode=sampling.mode,
            fps=sampling.fps,
            segment_ms=segment_ms,
            ring_bytes=self._watch.ring_bytes,
            memory=-1,
            memory_limit_bytes=self._watch.memory_bytes,
        )

    @property
    def child_pid(self) -> int:
        """The newest child's; 0 before there was one."""
        return self._child.pid if self._child else 0

    @property
    def held_bytes(self) -> int:
        """Memory of the frames that were given out and not released."""
        return self._child.held_bytes if self._child else 0

    def close(self) -> None:
        """End the child; iterating ends soon after. May be called from another thread, and twice."""
        with self._starting:
            self._closed = True
            if self._child:
                self._child.kill()

    def __iter__(self) -> Iterator[Event]:
        while True:
            skip = self._strikes >= STRIKES_MAX
            if skip and self._position is None:
                raise self._unreadable("at its beginning")
            position = asdict(self._position) if self._position else None
            settings = replace(self._settings, position=position, skip_segment=skip, careful=self._careful)
            with self._starting:
                if self._closed:
                    return
                child = self._child = _Child(settings, self._watch)
            with child:
                yield from self._events(child, skip=skip)
                if child.ended_well:
                    return
                if child.hands_over:
                    continue
                if child.is_broken:
                    raise Mismatch(
                        "decoder-unstartable",
                        f"The program that decodes does not start: {child.last_words}",
                        hint="Run `python3 -m analyzer run` with the same interpreter by hand; packages may be missing or damaged",
                    )
                self._strikes += 1
                self._reason = child.last_words
            if self._strikes >= 2 * STRIKES_MAX:
                # Not even on the way past the segment does a decoder live.
                if self._info is None:
                    raise self._unreadable(f"that goes on at {self._start_ms} ms")
                yield self._left_out(max(self._start_ms, self._info.duration_ms or 0), None)
                return

    def _unreadable(self, where: str) -> InputUnreadable:
        return InputUnreadable(
            "input-ends-decoder",
            f"The video `{self._name}` ends every decoder {where}: {self._reason}",
            hint="Re-encode the video with a current encoder; the job will not be better for a retry",
        )

    def _events(self, child: _Child, *, skip: bool) -> Iterator[Event]:
        for message in child.messages():
            match message["message"]:
                case Message.OPENED:
                    info = VideoInfo(**message["info"])
                    child.map(Layout(info.width, info.height), message["slots"], message["slot_bytes"])
                    if not self._is_opened:
                        self._info, self._is_opened = info, True
                        yield Opened(info=info, slots=message["slots"])
                case Message.BEGUN:
                    position = Position(**message["position"])
                    if skip:
                        yield self._left_out(message["start_ms"], position)
                        skip = False
                    self._position = position
                case Message.FRAME:
                    frame = child.frame(message)
                    if frame.pts_ms > self._last_ms:
                        self._last_ms = frame.pts_ms
                        yield frame
                    else:
                        frame.release()
                case Message.SEGMENT:
                    yield self._summary(message["summary"])
                case Message.AGAIN:
                    child.hands_over, self._careful = True, message["careful"]
                case Message.FAULT:
                    child.last_words = f"the decoder failed: {message['text']}"
                case Message.FAILED:
                    raise InputUnreadable(message["code"], message["text"], hint=message["hint"])
        if skip and child.ended_well:
            end_ms = self._info.duration_ms if self._info else None
            yield self._left_out(max(self._start_ms, end_ms or 0), None)

    def _summary(self, fields: dict[str, Any]) -> SegmentSummary:
        following = fields.pop("following")
        gaps = tuple((start_ms, end_ms) for start_ms, end_ms in fields.pop("gaps"))
        summary = SegmentSummary(**fields, gaps=gaps, following=Position(**following) if following else None)
        self._position, self._start_ms, self._strikes = summary.following, summary.end_ms, 0
        return summary

    def _left_out(self, end_ms: int, following: Position | None) -> SegmentSummary:
        segment = self._position.segment if self._position else 0
        start_ms, self._start_ms, self._strikes = self._start_ms, end_ms, 0
        return SegmentSummary(
            segment=segment,
            start_ms=start_ms,
            end_ms=end_ms,
            frames=0,
            sampled_frames=0,
            errors=0,
            first_error="",
            decoded_ms=start_ms,
            following=following,
            reason=self._reason,
        )


class _Child:
    """One decoding child and the memory that it shares."""

    def __init__(self, settings: Settings, watch: Watch) -> None:
        self._watch = watch
        # `is_broken`: it ended by itself before it looked at the video.
        self.has_started = self.is_broken = self.ended_well = self.hands_over = False
        self.last_words = ""
        self._complaints = b""
        self._free = self._slots = self._slot_bytes = 0
        self._memory = os.memfd_create("frames")
        package = Path(__file__).resolve().parents[2]
        path = os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH"))))
        self._program = subprocess.Popen(
            # Nothing is imported from the folder that happens to be the current one.
            [
                sys.executable,
                "-P",
                "-m",
                "analyzer.video.child",
                json.dumps(asdict(replace(settings, memory=self._memory))),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[self._memory],
            env={**os.environ, "PYTHONPATH": path},
            bufsize=0,
        )

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._program.wait()
        for pipe in (self._program.stdin, self._program.stdout, self._program.stderr):
            if pipe:
                pipe.close()
        os.close(self._memory)

    @property
    def pid(self) -> int:
        return self._program.pid

    @property
    def held_bytes(self) -> int:
        return (self._slots - self._free) * self._slot_bytes

    def kill(self) -> None:
        self._program.kill()

    def map(self, layout: Layout, slots: int, slot_bytes: int) -> None:
        """Look at the memory into which the child writes `slots` pictures."""
        self._layout, self._slot_bytes, self._free, self._slots = layout, slot_bytes, slots, slots
        shared = mmap.mmap(self._memory, slots * slot_bytes, prot=mmap.PROT_READ)
        self._pixels = np.frombuffer(shared, np.uint8)

    def messages(self) -> Iterator[dict[str, Any]]:
        """What the child says, until it ends; `ended_well` and `last_words` tell how."""
        assert self._program.stdout is not None
        assert self._program.stderr is not None
        text = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._program.stdout, selectors.EVENT_READ)
            selector.register(self._program.stderr, selectors.EVENT_READ)
            while True:
                patience_s = self._watch.silence_s if self.has_started else self._watch.start_s
                ready = [key.fileobj for key, _ in selector.select(patience_s)]
                # A child that waits for a free slot has nothing to say.
                if not ready and (self._free or not self._slots):
                    self.last_words = f"the decoder was silent for {patience_s:g} s"
                    return
                if self._program.stderr in ready and not self._listen(self._program.stderr):
                    selector.unregister(self._program.stderr)
                if self._program.stdout not in ready:
                    continue
                read = os.read(self._program.stdout.fileno(), 1 << 16)
                if not read:
                    while self._listen(self._program.stderr):
                        pass
                    status = self._program.wait()
                    self.is_broken = status > 0 and not self.has_started
                    self.last_words = self.last_words or _how(status, self._complaints)
                    return
                *lines, text = (text + read).split(b"\n")
                for line in lines:
                    message = json.loads(line)
                    self.has_started = True
                    self.ended_well = message["message"] == Message.END
                    yield message

    def _listen(self, complaints: IO[bytes]) -> bool:
        """Keep the end of what comes on standard error; False at its end."""
        read = os.read(complaints.fileno(), 1 << 16)
        self._complaints = (self._complaints + read)[-LAST_WORDS_BYTES:]
        return bool(read)

    def frame(self, message: dict[str, Any]) -> Frame:
        self._free -= 1
        slot = message["slot"]
        return Frame(
            segment=message["segment"],
            pts_ms=message["pts_ms"],
            planes=self._layout.planes(self._pixels[slot * self._slot_bytes :]),
            colours=Colours(message["matrix"], message["full_range"]),
            release=lambda: self._release(slot),
        )

    def _release(self, slot: int) -> None:
        self._free += 1
        # A pipe without a reader, or one that is closed: this child is gone, and its memory with it.
        with suppress(OSError, ValueError):
            assert self._program.stdin is not None
            self._program.stdin.write(b"%d\n" % slot)


def _how(status: int, complaints: bytes) -> str:
    if status < 0:
        return f"the decoder died of signal {-status}"
    lines = complaints.decode(errors="replace").split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "perhaps for want of memory")
    return f"the decoder ended with code {status}: {said}"
