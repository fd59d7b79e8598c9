"""The parent's side of decoding: starts the child, watches it, and goes on behind what kills or stops it."""

from __future__ import annotations

import json
import mmap
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from analyzer.contract import SampleMode
from analyzer.errors import InputUnreadable
from analyzer.video.info import Position, SegmentSummary, VideoInfo
from analyzer.video.layout import Layout
from analyzer.video.messages import Message, Settings
from analyzer.video.planes import Colours, Frame

SEGMENT_MS = 30_000
RING_BYTES = 64 << 20
# Decoding one picture takes milliseconds; a child that is silent for so long, with room to write to, hangs.
SILENCE_MAX_S = 10.0
# Room for the reference pictures of 8K with many decoder threads; what asks for more is no video that anybody filmed.
MEMORY_LIMIT_BYTES = 12 << 30
# A segment that ends the child so often is left out.
STRIKES_MAX = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Which frames are looked at: at most `fps` a second, out of all frames or out of the keyframes only."""

    mode: SampleMode = SampleMode.FPS
    fps: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Limits of the child: how long it may be silent, how much it may address, how much memory pictures may wait in."""

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

    A child that dies or hangs is started again where the segment began that it was in; a segment that ends `STRIKES_MAX` children,
    those of earlier attempts (`strikes`) included, is left out from there on, and its summary says why.
    Raises while iterating: InputUnreadable.
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
        strikes: int = 0,
        watch: Watch | None = None,
        segment_ms: int = SEGMENT_MS,
    ) -> None:
        self._watch = watch or Watch()
        self._name, self._position, self._start_ms = name, position, start_ms
        self._strikes = min(strikes, STRIKES_MAX)
        self._reason = "earlier attempts died in it"
        # The last time that was given out: a second child begins before it.
        self._last_ms = -1
        self._info = info
        self._is_opened = False
        self._closed = False
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
        self._closed = True
        if self._child:
            self._child.kill()

    def __iter__(self) -> Iterator[Event]:
        while not self._closed:
            skip = self._strikes >= STRIKES_MAX
            if skip and self._position is None:
                raise self._unreadable("at its beginning")
            position = asdict(self._position) if self._position else None
            with _Child(replace(self._settings, position=position, skip_segment=skip), self._watch) as self._child:
                yield from self._events(self._child, skip=skip)
                if self._child.ended_well:
                    return
                self._strikes += 1
                self._reason = self._child.last_words
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
                case Message.FAULT:
                    child.last_words = f"the decoder failed: {message['text']}"
                case Message.FAILED:
                    raise InputUnreadable(message["code"], message["text"], hint=message["hint"])
        if skip and child.ended_well:
            end_ms = self._info.duration_ms if self._info else None
            yield self._left_out(max(self._start_ms, end_ms or 0), None)

    def _summary(self, fields: dict[str, Any]) -> SegmentSummary:
        following = fields.pop("following")
        summary = SegmentSummary(**fields, following=Position(**following) if following else None)
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
        self.ended_well = False
        self.last_words = ""
        self._free = self._slots = self._slot_bytes = 0
        self._memory = os.memfd_create("frames")
        package = Path(__file__).resolve().parents[2]
        path = os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH"))))
        self._program = subprocess.Popen(
            [sys.executable, "-m", "analyzer.video.child", json.dumps(asdict(replace(settings, memory=self._memory)))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=[self._memory],
            env={**os.environ, "PYTHONPATH": path},
            bufsize=0,
        )

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._program.wait()
        for pipe in (self._program.stdin, self._program.stdout):
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
        text = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._program.stdout, selectors.EVENT_READ)
            while True:
                # A child that waits for a free slot has nothing to say.
                patience_s = self._watch.silence_s
                if not selector.select(patience_s):
                    if self._free:
                        self.last_words = f"the decoder was silent for {patience_s:g} s"
                        return
                    continue
                read = os.read(self._program.stdout.fileno(), 1 << 16)
                if not read:
                    self.last_words = self.last_words or _how(self._program.wait())
                    return
                *lines, text = (text + read).split(b"\n")
                for line in lines:
                    message = json.loads(line)
                    self.ended_well = message["message"] == Message.END
                    yield message

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


def _how(status: int) -> str:
    if status < 0:
        return f"the decoder died of signal {-status}"
    return f"the decoder ended with code {status}, perhaps for want of memory"
