"""A job that is told to stop, and the one that goes on behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analyzer.contract import ExitCode, Table
from tests.fakes.coloured_people import Walker, draw_clip

pytestmark = pytest.mark.rehearsal

# Nothing here takes so long; what does, hangs.
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighteen times ten seconds, which is six segments of the job."""
    path = tmp_path_factory.mktemp("clip") / "long.mp4"
    walkers = (Walker(left=10), Walker(left=150, top=80, first_s=1, last_s=7, height=80, face=False))
    clip = draw_clip(path.with_name("walkers.mp4"), walkers, seconds=10, fps=5, keyframe_every=5, cut_s=4)
    loop = ("-stream_loop", "17", "-i", str(clip), "-c", "copy", str(path))
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *loop], check=True)
    return path


def job(clip: Path, out: Path) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    asked = {
        "VIDEO_URL": str(clip),
        "SESSION_ID": "long",
        "RESULT_URL": str(out),
        "MODEL_ROOT": str(out / "none"),
        "SAMPLE_FPS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "analyzer", "batch"],
        env={**kept, **asked, "TMPDIR": str(out.parent), "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_job_that_is_told_to_stop_keeps_its_segments_and_goes_on_behind_them(long_clip: Path, tmp_path: Path) -> None:
    with job(long_clip, tmp_path / "stopped") as first:
        assert first.stdout is not None
        for line in first.stdout:
            if json.loads(line).get("percent", 0) >= 60:
                break
        begin_s = time.monotonic()
        first.terminate()
        assert first.wait(PATIENCE_S) == ExitCode.INTERRUPTED
        assert time.monotonic() - begin_s < 10
    assert not (tmp_path / "stopped" / "result.json").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["stopped"], "the scratch folder is gone"
    steps = {}
    for name in ("stopped", "clean"):
        with job(long_clip, tmp_path / name) as whole:
            told = [json.loads(line) for line in whole.communicate(timeout=PATIENCE_S)[0].splitlines()]
        assert whole.returncode == ExitCode.OK
        steps[name] = [each["detail"] for each in told if each.get("step") == "analyse" and "detail" in each]
    assert steps["clean"] == [""]
    assert steps["stopped"][0].removeprefix("from segment ") in "2345"
    stopped, clean = tmp_path / "stopped", tmp_path / "clean"
    rows = [path.name for path in clean.iterdir() if path.suffix == ".jsonl" and path.stem != Table.JOBS]
    assert rows
    for name in (*rows, *(f"thumbnails/{path.name}" for path in (clean / "thumbnails").iterdir())):
        assert (stopped / name).read_bytes() == (clean / name).read_bytes(), name
