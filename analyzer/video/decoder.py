"""The parent's side of decoding: starts children, and goes on behind what kills, stops or damages them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from analyzer.contract import SampleMode
from analyzer.errors import AnalyzerError, DependencyDown, InputUnreadable, Mismatch
from analyzer.video.info import Position, SegmentSummary, VideoInfo
from analyzer.video.layout import Layout
from analyzer.video.messages import Message, Settings
from analyzer.video.planes import Frame
from analyzer.video.watched import Watch, WatchedChild

SEGMENT_MS = 30_000
# A segment that ends the child so often is left out.
STRIKES_MAX = 2
# An attempt dies of much that is not the video's fault: machines are taken away, and jobs are stopped. So many deaths in one segment are
# no chance.
DEATHS_MAX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Which frames are looked at: at most `fps` a second, out of all frames or out of the keyframes only."""

    mode: SampleMode = SampleMode.FPS
    fps: float = 2.0


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
    Raises while iterating: InputUnreadable; Mismatch, when no child starts at all; DependencyDown, when the machine refuses one, or
    kills all.
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
        self._reason, self._was_killed = f"{deaths} attempts died in it", False
        # The last time that was given out in the segment that is read: a second child reads it from its beginning.
        self._last_ms = -1
        self._info = info
        self._is_opened = False
        self._careful = False
        self._closed = False
        # Held while a child is started, so that one that is closed meanwhile is not forgotten.
        self._starting = threading.Lock()
        self._child: WatchedChild | None = None
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
            # The first segment begins with the first packet, keyframe or not, as it does without a position.
            is_first = self._position is None or (self._position.segment == 0 and not skip)
            position = None if self._position is None or is_first else asdict(self._position)
            info = asdict(self._info) if self._info else None
            settings = replace(self._settings, position=position, info=info, skip_segment=skip, careful=self._careful)
            with self._starting:
                if self._closed:
                    return
                child = self._child = WatchedChild(settings, self._watch)
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
                self._reason, self._was_killed = child.last_words, child.was_killed
            if self._strikes >= 2 * STRIKES_MAX:
                # Not even on the way past the segment does a decoder live.
                if self._info is None:
                    raise self._unreadable(f"that goes on at {self._start_ms} ms")
                yield self._left_out(max(self._start_ms, self._info.duration_ms or 0), None)
                return

    def _unreadable(self, where: str) -> AnalyzerError:
        if self._was_killed:
            return DependencyDown(
                "decoder-killed",
                f"Something on this machine kills every decoder of the video `{self._name}`: {self._reason}",
                hint="Mostly that is the kernel, for want of memory: give the job more, then submit it again",
            )
        return InputUnreadable(
            "input-ends-decoder",
            f"The video `{self._name}` ends every decoder {where}: {self._reason}",
            hint="Re-encode the video with a current encoder: trying again will not help",
        )

    def _events(self, child: WatchedChild, *, skip: bool) -> Iterator[Event]:
        given_ms = self._last_ms
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
                        skip, given_ms = False, -1
                    self._position = position
                case Message.FRAME:
                    frame = child.frame(message)
                    if frame.pts_ms > given_ms:
                        self._last_ms = frame.pts_ms
                        yield frame
                    else:
                        frame.release()
                case Message.SEGMENT:
                    summary, given_ms = self._summary(message["summary"]), -1
                    yield summary
                    if summary.following is None:
                        # Nothing lies behind it, however the child ends.
                        child.ended_well = True
                        return
                case Message.AGAIN:
                    child.hands_over, self._careful = True, message["careful"]
                case Message.FAULT:
                    child.last_words = f"the decoder failed: {message['text']}"
                case Message.FAILED:
                    raise InputUnreadable(message["code"], message["text"], hint=message["hint"])
        if child.ended_well:
            # A file that was cut off while it was read has no place to go on at either; nothing is finished without a last segment.
            self._reason = self._reason if skip else "the file ends before it"
            end_ms = self._info.duration_ms if self._info else None
            yield self._left_out(max(self._start_ms, end_ms or 0), None)

    def _summary(self, fields: dict[str, Any]) -> SegmentSummary:
        following = fields.pop("following")
        gaps = tuple((start_ms, end_ms) for start_ms, end_ms in fields.pop("gaps"))
        summary = SegmentSummary(**fields, gaps=gaps, following=Position(**following) if following else None)
        self._position, self._start_ms, self._last_ms, self._strikes = summary.following, summary.end_ms, -1, 0
        return summary

    def _left_out(self, end_ms: int, following: Position | None) -> SegmentSummary:
        segment = self._position.segment if self._position else 0
        start_ms, self._start_ms, self._last_ms, self._strikes = self._start_ms, end_ms, -1, 0
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
