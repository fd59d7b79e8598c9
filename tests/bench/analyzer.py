"""The analyzer's pipeline beside bare decoding and beside the loop that most scripts have, with models that cost nothing."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from analyzer.backends.appearance import AppearanceEmbedder
from analyzer.backends.base import Attributes, Backends, Confidence, Detection, Label, PersonCrop, Pixels
from analyzer.contract import SampleMode, Table
from analyzer.geometry import Box
from analyzer.pipeline.feed import BATCH_FRAMES
from analyzer.pipeline.run import Listener, Task, analyse
from analyzer.store.base import Work
from analyzer.store.folder import FolderStore
from analyzer.store.place import LocalPlace
from analyzer.video.decoder import Decoder, Sampling
from analyzer.video.planes import Frame
from tests.bench.clips import LONG_S, SECONDS, calm_clip, dense_clip, quick_clip, usual_clip
from tests.bench.figures import Figure
from tests.bench.naive import BOXES, analyse_naively

ROUNDS = 5
EVERY_FRAME_FPS = 30.0
PICTURE_S = 0.008
MEMORY_MAX_MB = 400
MEMORY_GROWTH = 1.10
SAMPLE_EVERY_S = 0.05
SEGMENT_S = 30


class FreeDetector:
    """Two people, always at the same places; takes `batch_s` for each call."""

    side_px = 640
    confidence = Confidence(high=0.5, low=0.1, new=0.5)
    description: Mapping[str, object] = {"name": "free"}

    def __init__(self, batch_s: float = 0) -> None:
        self.batch_s = batch_s
        self.batches = 0
        self._turn = threading.Lock()

    def detect(self, pictures: Sequence[Pixels]) -> list[list[Detection]]:
        # One model on one device: calls take turns.
        with self._turn:
            self.batches += 1
            if self.batch_s:
                time.sleep(self.batch_s)
        return [self._people(picture) for picture in pictures]

    @staticmethod
    def _people(picture: Pixels) -> list[Detection]:
        height, width = picture.shape[:2]
        return [
            Detection(
                label=Label.PERSON,
                box=Box(left * width, top * height, (right - left) * width, (bottom - top) * height),
                score=0.9,
                source="free",
            )
            for left, top, right, bottom in BOXES
        ]


class FreeAttributes:
    """Everybody is 30 and may be anybody; counts what it was asked."""

    description: Mapping[str, object] = {"name": "free"}

    def __init__(self) -> None:
        self.asked = 0

    def predict(self, people: Sequence[PersonCrop]) -> Attributes:
        self.asked += len(people)
        age = np.full(len(people), 30.0)
        return Attributes(age=age, age_low=age - 5, age_high=age + 5, female=np.full(len(people), 0.5))


@dataclass(frozen=True, slots=True)
class Cost:
    """What something took: seconds on the clock, and of all processors together."""

    wall_s: float
    cpu_s: float


def cost_of(action: Callable[[], object]) -> Cost:
    """Of this process and of the children that ended meanwhile."""
    wall_s, cpu_s = time.perf_counter(), _cpu_s()
    action()
    return Cost(time.perf_counter() - wall_s, _cpu_s() - cpu_s)


def analyse_freely(
    clip: Path,
    fps: float,
    *,
    mode: SampleMode = SampleMode.FPS,
    detector: FreeDetector | None = None,
    attributes: FreeAttributes | None = None,
) -> int:
    """The whole pipeline into a folder; returns the number of tracks."""
    backends = Backends(
        detector=detector or FreeDetector(), embedder=AppearanceEmbedder(), attributes=attributes or FreeAttributes()
    )
    task = Task(path=clip, name=clip.name, mode=mode, fps=fps, prompt="")
    listener = Listener(opened=lambda _: None, frame=lambda _: None, committed=lambda _: None)
    with tempfile.TemporaryDirectory() as folder, closing(FolderStore(place := LocalPlace(Path(folder)))) as store:
        claim = store.claim(Work(session_id="bench", fingerprint="f", video_url="v", request={}))
        analyse(task, backends, store, place.put, claim, listener)
        return int(store.finish({"status": "succeeded"})["rows"][Table.TRACKS])


def decode(clip: Path) -> None:
    """The decoding stage alone: all frames are decoded, one is looked at."""
    for event in Decoder(clip, Sampling(fps=0.01), name=clip.name):
        if isinstance(event, Frame):
            event.release()


def analyzer_figures() -> list[Figure]:
    """Ratios of times, taken in turns; memory; how often models are asked."""
    dense = dense_clip()
    return [
        *_ratios(usual_clip()),
        *_ratios(quick_clip(), "quick clip"),
        *_ratios(dense, "dense clip"),
        _keyframes(dense),
        _busy(dense),
        *_memory(),
        _asked(dense),
    ]


def _ratios(clip: Path, other: str = "") -> list[Figure]:
    """The bounds are for the usual clip: on one that is quicker to decode all else weighs more, and on a denser one decoding does."""
    rounds = _measured(
        {
            "ffmpeg": partial(_ffmpeg, clip),
            "decode": partial(decode, clip),
            "2 fps": partial(analyse_freely, clip, 2),
            "5 fps": partial(analyse_freely, clip, 5),
            "every": partial(analyse_freely, clip, EVERY_FRAME_FPS),
            "naive": partial(_loop, clip),
        }
    )
    sides = [
        ("decoding / `ffmpeg -f null`", "ffmpeg", "decode", 0.95),
        ("2 of 30 fps / decoding", "decode", "2 fps", 0.85),
        ("5 of 30 fps / decoding", "decode", "5 fps", 0.70),
        ("5 of 30 fps / a loop over frames", "naive", "5 fps", 3.0),
        ("every frame / a loop over frames", "naive", "every", 1.5),
    ]
    return [
        _ratio(f"{name}, {other}" if other else name, rounds, slow, fast, None if other else bound)
        for name, slow, fast, bound in sides
    ]


def _measured(sides: Mapping[str, Callable[[], object]]) -> list[dict[str, Cost]]:
    """In turns, so that what else this machine does meets all of them."""
    return [{name: cost_of(side) for name, side in sides.items()} for _ in range(ROUNDS)]


def _loop(clip: Path) -> None:
    attributes = FreeAttributes()
    analyse_naively(clip, lambda _: BOXES, lambda _: attributes.predict([PersonCrop(face=None, body=None)]))


def _ratio(name: str, rounds: Sequence[Mapping[str, Cost]], slow: str, fast: str, bound: float | None) -> Figure:
    """How many times the speed of `slow` that of `fast` is, on the clock and by processor time."""
    wall = median(each[slow].wall_s / each[fast].wall_s for each in rounds)
    cpu = median(each[slow].cpu_s / each[fast].cpu_s for each in rounds)
    times = " / ".join(f"{median(each[side].wall_s for each in rounds):.2f} s" for side in (slow, fast))
    return Figure(
        name=f"speed: {name}",
        measured=f"{wall:.2f} ({times}; by processor time {cpu:.2f})",
        bound=f">= {bound}" if bound else "none",
        met=wall >= bound if bound else None,
    )


def _keyframes(clip: Path) -> Figure:
    taken_s = min(cost_of(lambda: analyse_freely(clip, 5, mode=SampleMode.KEYFRAME)).wall_s for _ in range(ROUNDS))
    times = SECONDS / taken_s
    return Figure(name="keyframes only", measured=f"{times:.0f} x realtime", bound=">= 50 x", met=times >= 50)


def _busy(clip: Path) -> Figure:
    """The part of the time in which a costly model works, when every frame goes to it."""
    ratios = []
    for _ in range(ROUNDS):
        # So costly that the model, and nothing else, is what takes the time.
        detector = FreeDetector(BATCH_FRAMES * PICTURE_S)
        cost = cost_of(partial(analyse_freely, clip, EVERY_FRAME_FPS, detector=detector))
        ratios.append(detector.batches * detector.batch_s / cost.wall_s)
    return Figure(
        name="a model of 8 ms a picture is busy",
        measured=f"{median(ratios):.2f} of the time",
        bound=">= 0.90",
        met=median(ratios) >= 0.90,
    )


def _memory() -> list[Figure]:
    short, long = (_peak_mb(calm_clip(seconds)) for seconds in (SECONDS, LONG_S))
    busy = _peak_mb(dense_clip())
    return [
        Figure(
            name="memory of all processes of a job, at most",
            measured=f"{max(busy, long):.0f} MB",
            bound=f"<= {MEMORY_MAX_MB} MB",
            met=max(busy, long) <= MEMORY_MAX_MB,
        ),
        Figure(
            name="memory: 2 h / 40 s of video",
            measured=f"{long / short:.2f} ({long:.0f} MB / {short:.0f} MB)",
            bound=f"<= {MEMORY_GROWTH}",
            met=long / short <= MEMORY_GROWTH,
        ),
    ]


def _asked(clip: Path) -> Figure:
    attributes = FreeAttributes()
    tracks = analyse_freely(clip, 5, attributes=attributes)
    most = 8 + (SECONDS - 1) // SEGMENT_S
    per_track = attributes.asked / tracks
    return Figure(
        name=f"crops per track of {SECONDS} s that a model is asked about",
        measured=f"{per_track:.1f}",
        bound=f"<= {most}",
        met=per_track <= most,
    )


def _ffmpeg(clip: Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-i", str(clip), "-f", "null", "-"], check=True)


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _peak_mb(clip: Path) -> float:
    """The largest sum of the proportional memory of a process that analyses `clip` and of its children, sampled."""
    with subprocess.Popen([sys.executable, "-m", __name__, str(clip)]) as job:
        peak = 0
        while job.poll() is None:
            peak = max(peak, sum(_pss_bytes(pid) for pid in (job.pid, *_children(job.pid))))
            time.sleep(SAMPLE_EVERY_S)
    if job.returncode:
        raise RuntimeError(f"analysing `{clip}` ended with exit code {job.returncode}")
    return peak / 1e6


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()] + [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            if task.name != str(pid)
            for child in (task / "children").read_text().split()
        ]
    return []


def _pss_bytes(pid: int) -> int:
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("Pss:")).split()[1])
    return 0


if __name__ == "__main__":
    analyse_freely(Path(sys.argv[1]), 5)
