"""The command line for who runs an image by hand, and what it needs of this machine."""

import json
import os
import shutil
from pathlib import Path

import pytest

from analyzer.manifest import check_model_set
from lifecycle.adapters.hand_runs import HandRunFolder
from lifecycle.domain.digest import digest_of
from lifecycle.domain.hand_run import HandRun, Mount, models_elsewhere, run_words, runtime_elsewhere
from lifecycle.domain.models import ModelFile, ModelSet
from tests.fakes.targets import make_target

AGE, GENDER, CHECKPOINT = "models/age.onnx", "models/more/gender.onnx", "checkpoints/last.bin"
NAME = "vision:code-1"
RUN = HandRun(user="1000:100", results="/project/results", models=models_elsewhere(), runtime=runtime_elsewhere())


def words(**changes: object) -> tuple[str, ...]:
    given = {"video": "/videos/a.mp4", "environment": (), "gpus": 0, **changes}
    return run_words(NAME, RUN, **given)  # type: ignore[arg-type]


def test_line_has_the_mounts_of_a_job_read_only_no_network_and_the_users_id() -> None:
    assert " ".join(words()) == (
        "docker run --rm --pull never --network none --user 1000:100 "
        "--mount type=bind,source=/PATH/TO/MODELS/models,target=/workspace/models,readonly "
        "--mount type=bind,source=/PATH/TO/MODELS/checkpoints,target=/workspace/checkpoints,readonly "
        "--mount type=bind,source=/PATH/TO/MODELS/experiments,target=/workspace/experiments,readonly "
        "--mount type=bind,source=/videos/a.mp4,target=/video,readonly "
        "--mount type=bind,source=/project/results,target=/results "
        "--env VIDEO_URL=/video --env RESULT_URL=/results --env SESSION_ID=by-hand vision:code-1"
    )


def test_line_without_a_video_says_where_one_goes() -> None:
    assert "type=bind,source=/PATH/TO/VIDEO.mp4,target=/video,readonly" in words(video=None)


def test_gpus_are_asked_for_last_and_only_by_a_release_with_gpus() -> None:
    assert "--gpus" not in words()
    assert words(gpus=2)[-3:] == ("--gpus", "all", NAME)


def test_environment_of_a_job_is_named_and_its_values_are_the_shells() -> None:
    given = words(environment={"TOKEN": "secret", "DATABASE_URL": "postgresql://u:p@h/d", "VIDEO_URL": "s3://x"})
    assert [given[place + 1] for place, word in enumerate(given) if word == "--env"] == [
        "TOKEN",
        "VIDEO_URL=/video",
        "RESULT_URL=/results",
        "SESSION_ID=by-hand",
    ]


@pytest.mark.parametrize(
    ("source", "option"),
    [
        ("/a b/ü.mp4", "type=bind,source=/a b/ü.mp4,target=/video,readonly"),
        ("/a,b", 'type=bind,"source=/a,b",target=/video,readonly'),
        ('/a"b', 'type=bind,"source=/a""b",target=/video,readonly'),
    ],
)
def test_mount_takes_any_path(source: str, option: str) -> None:
    assert Mount(source=source, target="/video").words == ("--mount", option)


def make_models(root: Path) -> ModelSet:
    files = []
    for path in (CHECKPOINT, AGE, GENDER):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
        (root / path).chmod(0o640)
        sha256 = digest_of(path.encode()).removeprefix("sha256:")
        files.append(ModelFile(path=path, bytes=len(path), sha256=sha256))
    return ModelSet(files=tuple(files))


def as_container(run: HandRun, root: Path) -> Path:
    """The models as the container would see them below /workspace."""
    for mount in run.models:
        target = root / Path(mount.target).relative_to("/workspace")
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if Path(mount.source).is_dir() else shutil.copy)(mount.source, target)
    return root


def test_models_are_mounted_by_folder_and_pass_the_containers_check(tmp_path: Path) -> None:
    models = make_models(tmp_path / "models")
    run = HandRunFolder(make_target(tmp_path)).prepare(models)
    assert [mount.target for mount in run.models] == [
        "/workspace/checkpoints",
        "/workspace/models",
        "/workspace/.model-set.json",
    ]
    assert all(mount.read_only for mount in run.models)
    checked = check_model_set(as_container(run, tmp_path / "container"))
    assert {file.path: file.sha256 for file in checked.files} == {file.path: file.sha256 for file in models.files}


def test_folder_that_holds_more_than_the_set_is_mounted_file_by_file(tmp_path: Path) -> None:
    models = make_models(tmp_path / "models")
    (tmp_path / "models" / "models" / "result.csv").write_text("1,2")
    (tmp_path / "models" / GENDER).rename(tmp_path / "models" / "src")
    (tmp_path / "models" / GENDER).symlink_to("../../src")
    run = HandRunFolder(make_target(tmp_path)).prepare(models)
    assert [mount.target for mount in run.models] == [
        "/workspace/checkpoints",
        f"/workspace/{AGE}",
        f"/workspace/{GENDER}",
        "/workspace/.model-set.json",
    ]
    assert len(check_model_set(as_container(run, tmp_path / "container")).files) == 3


def test_model_that_is_gone_is_for_the_container_to_tell(tmp_path: Path) -> None:
    models = make_models(tmp_path / "models")
    (tmp_path / "models" / AGE).unlink()
    marker = HandRunFolder(make_target(tmp_path)).prepare(models).models[-1]
    assert AGE in [file["path"] for file in json.loads(Path(marker.source).read_bytes())["files"]]


@pytest.mark.parametrize("source", ["s3://bucket/models", "elsewhere"])
def test_models_that_are_not_here_are_for_the_reader_to_name(tmp_path: Path, source: str) -> None:
    folder = HandRunFolder(make_target(tmp_path, models={"source": source}))
    assert folder.prepare(make_models(tmp_path / "models")).models == models_elsewhere()


def test_models_that_were_never_locked_are_for_the_reader_to_name(tmp_path: Path) -> None:
    make_models(tmp_path / "models")
    run = HandRunFolder(make_target(tmp_path)).prepare(None)
    assert (run.models, run.user) == (models_elsewhere(), f"{os.getuid()}:{os.getgid()}")
    assert Path(run.results).is_dir()


def test_runtime_is_no_model_and_is_found_beside_the_models(tmp_path: Path) -> None:
    models = make_models(tmp_path / "models")
    elsewhere = HandRunFolder(make_target(tmp_path)).prepare(models)
    assert elsewhere.runtime == runtime_elsewhere()
    (tmp_path / "models" / "runtime").mkdir()
    (tmp_path / "models" / "runtime" / "contract.json").write_text("{}")
    contract = ModelFile(path="runtime/contract.json", bytes=2, sha256=digest_of(b"{}").removeprefix("sha256:"))
    run = HandRunFolder(make_target(tmp_path)).prepare(ModelSet(files=(*models.files, contract)))
    assert run.runtime == str(tmp_path / "models" / "runtime")
    assert not any("runtime" in mount.target for mount in run.models)
    assert len(check_model_set(as_container(run, tmp_path / "container")).files) == 3
