"""Lock, verify and push the model set: real files, objects in memory."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lifecycle.adapters.lock_file import LockFile
from lifecycle.adapters.model_files import BucketSource, FolderSource
from lifecycle.domain.models import ModelFile, model_set
from lifecycle.domain.plan import Plan
from lifecycle.errors import CapctlError, ExitCode, UsageError
from lifecycle.ports.model_source import ModelSource
from lifecycle.workflows.execute import execute
from lifecycle.workflows.lock_models import plan_lock, require_up_to_date
from lifecycle.workflows.lookups import locked
from lifecycle.workflows.push_models import plan_push
from lifecycle.workflows.verify_models import models_rejection, verify_models
from tests.fakes.objects import FakeObjects
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.targets import make_target

FILES = {
    "models/age.onnx": b"age",
    "checkpoints/llava/weights.bin": b"weights",
    "experiments/coco/segm.yaml": b"a: 1\n",
}


class Scene:
    """A folder of models, a lock file and a bucket."""

    def __init__(self, folder: Path, source: ModelSource | None = None) -> None:
        self.folder = folder
        self.target = make_target(folder)
        self.objects = FakeObjects(self.target.bucket)
        self.lock = LockFile(folder / "models.lock.yaml")
        self.ports = FakePorts(
            model_lock=self.lock,
            model_source=source or FolderSource(folder / "models", exclude=("*.tmp",)),
            objects=self.objects,
        )
        self.write(FILES)

    def write(self, files: dict[str, bytes]) -> None:
        for name, data in files.items():
            path = self.folder / "models" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def run(self, plan: Plan) -> None:
        execute(plan, self.ports, RUN)

    def edit_lock(self, change: Callable[[str], str]) -> None:
        path = self.folder / "models.lock.yaml"
        path.write_text(change(path.read_text()))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
def locked_scene(scene: Scene) -> Scene:
    scene.run(plan_lock(scene.ports))
    return scene


def failure(call: Callable[[], object]) -> CapctlError:
    with pytest.raises(CapctlError) as failed:
        call()
    assert failed.value.hint, failed.value
    return failed.value


def test_lock_names_every_file_by_content(locked_scene: Scene) -> None:
    models = locked(locked_scene.ports)
    assert {file.path: file.sha256 for file in models.files} == {
        path: hashlib.sha256(data).hexdigest() for path, data in FILES.items()
    }
    assert models.total_bytes == sum(map(len, FILES.values()))
    assert locked_scene.ports.ui.totals == {"hash 3 model files": models.total_bytes}


def test_lock_keeps_out_what_must_reach_no_ami_and_names_it(scene: Scene) -> None:
    junk = ("src/train.py", "models/tools/x.py", "models/r.csv", "models/__pycache__/a.pyc", "models/half.tmp")
    scene.write(dict.fromkeys(junk, b"junk"))
    scene.run(plan_lock(scene.ports))
    assert {file.path for file in locked(scene.ports).files} == set(FILES)
    kept_out = {line.removeprefix("detail: kept out: ") for line in scene.ports.ui.lines if "kept out: " in line}
    assert kept_out == {"src/", "models/tools/", "models/r.csv", "models/__pycache__/", "models/half.tmp"}


def test_lock_that_is_up_to_date_is_not_touched(locked_scene: Scene) -> None:
    locked_scene.edit_lock(lambda text: "# a person's remark\n" + text)
    before = (locked_scene.folder / "models.lock.yaml").stat()
    plan = plan_lock(locked_scene.ports)
    locked_scene.run(plan)
    after = (locked_scene.folder / "models.lock.yaml").stat()
    assert plan.steps == ()
    assert "up to date" in plan.because
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


def test_lock_keeps_licence_and_permitted_use(locked_scene: Scene) -> None:
    told = "  licence: CC0-1.0\n  permitted_use: any\n"
    locked_scene.edit_lock(lambda text: text.replace("  mode: '0444'\n", f"  mode: '0444'\n{told}", 1))
    locked_scene.write({"models/new.onnx": b"new"})
    locked_scene.run(plan_lock(locked_scene.ports))
    first = locked(locked_scene.ports).files[0]
    assert (first.licence, first.permitted_use) == ("CC0-1.0", "any")
    assert len(locked(locked_scene.ports).files) == 4


def test_lock_check_fails_on_a_change_and_writes_nothing(locked_scene: Scene) -> None:
    assert require_up_to_date(locked_scene.ports) == locked(locked_scene.ports).digest
    before = (locked_scene.folder / "models.lock.yaml").read_bytes()
    locked_scene.write({"models/age.onnx": b"changed"})
    error = failure(lambda: require_up_to_date(locked_scene.ports))
    assert (error.code, error.details) == ("lock-outdated", ("changed: models/age.onnx",))
    assert (locked_scene.folder / "models.lock.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda text: text.replace("- path", "- path: [", 1), "models.lock.yaml:"),
        (lambda text: text.replace("model-lock/1", "model-lock/2"), "schema"),
        (lambda text: text.replace("digest: sha256:", "digest: sha256:0", 1), "its files give"),
        (lambda text: text.replace("bytes: 3", "bytes: three"), "files[2].bytes"),
        (lambda text: text.replace("mode: '0444'", "mode: '0444'\n  color: red", 1), "files[0].color"),
        (lambda text: text.replace("path: models/age", "path: ../age"), "../age"),
        (lambda text: text.replace("path: models/age.onnx", 'path: "models/\\tage"'), "control character"),
        (lambda text: "[]", "the document"),
        (lambda text: "", "the document"),
        (lambda text: "\x00", "models.lock.yaml"),
    ],
)
def test_bad_lock_is_a_usage_error(locked_scene: Scene, change: Callable[[str], str], expected: str) -> None:
    locked_scene.edit_lock(change)
    error = failure(lambda: locked(locked_scene.ports))
    assert isinstance(error, UsageError)
    assert expected in error.message


def test_lock_is_missing_before_the_first_lock(scene: Scene) -> None:
    error = failure(lambda: plan_push(scene.ports, scene.target))
    assert (error.code, error.exit_code) == ("lock-missing", ExitCode.USAGE)


def test_missing_source_folder_is_a_usage_error(tmp_path: Path) -> None:
    source = FolderSource(tmp_path / "nowhere", exclude=())
    assert failure(source.scan).code == "models-missing"


def test_file_outside_the_three_folders_is_named(scene: Scene) -> None:
    scene.write({"README.md": b"x"})
    assert "README.md" in failure(lambda: plan_lock(scene.ports)).message


@pytest.mark.parametrize(
    ("linked", "aim"),
    [("models/dangling", "models/gone"), ("models/folder", "models/checkpoints"), ("models/outside.onnx", "outside")],
)
def test_link_that_is_no_file_of_the_source_is_named(scene: Scene, linked: str, aim: str) -> None:
    (scene.folder / "outside").write_bytes(b"outside")
    (scene.folder / "models" / linked).symlink_to(scene.folder / aim)
    error = failure(lambda: plan_lock(scene.ports))
    assert error.code == "model-not-a-file"
    assert linked in error.message


def test_link_to_a_file_of_the_source_counts_as_the_file(scene: Scene) -> None:
    (scene.folder / "models/models/linked.onnx").symlink_to(Path("age.onnx"))
    scene.run(plan_lock(scene.ports))
    files = {file.path: file for file in locked(scene.ports).files}
    assert files["models/linked.onnx"].sha256 == files["models/age.onnx"].sha256


def test_size_that_is_not_the_files_is_named_with_its_path(locked_scene: Scene) -> None:
    locked_scene.edit_lock(lambda text: text.replace("bytes: 3", "bytes: 4"))
    wrong = ("changed: models/age.onnx: 3 bytes, locked as 4",)
    assert verify_models(locked_scene.ports).problems == wrong
    assert failure(lambda: require_up_to_date(locked_scene.ports)).details == wrong


def test_push_of_a_wrong_size_sends_to_the_check_of_the_lock(locked_scene: Scene) -> None:
    locked_scene.edit_lock(lambda text: text.replace("bytes: 3", "bytes: 4"))
    error = failure_of_push(locked_scene)
    assert "`models/age.onnx` is there, but with 3 bytes, and not 4 as in the lock," in error.message
    assert "capctl models verify" in error.hint


def test_lock_check_names_the_file_that_comes_from_elsewhere_now(tmp_path: Path) -> None:
    objects = FakeObjects("source")
    objects.stored = {f"s3://source/v1/{path}": (data, "") for path, data in FILES.items()}
    scene = Scene(tmp_path, BucketSource(objects, "s3://source/v1", exclude=()))
    scene.run(plan_lock(scene.ports))
    scene.edit_lock(lambda text: text.replace("v1/models/age.onnx", "v0/models/age.onnx"))
    assert failure(lambda: require_up_to_date(scene.ports)).details == ("other source: models/age.onnx",)


def test_verify_names_missing_changed_and_extra_files(locked_scene: Scene) -> None:
    assert models_rejection(verify_models(locked_scene.ports)) is None
    (locked_scene.folder / "models/models/age.onnx").unlink()
    locked_scene.write({"models/extra.onnx": b"extra", "experiments/coco/segm.yaml": b"a: 2\n"})
    error = models_rejection(verify_models(locked_scene.ports))
    assert error is not None
    assert error.exit_code == ExitCode.FAILED
    assert error.message == "The source differs from the lock file in 3 files"
    assert "remove what is extra" in error.hint
    assert error.details == (
        "changed: experiments/coco/segm.yaml",
        "missing: models/age.onnx",
        "extra: models/extra.onnx",
    )


def test_bucket_source_is_hashed_unless_the_digest_is_recorded(tmp_path: Path) -> None:
    objects = FakeObjects("source")
    source = BucketSource(objects, "s3://source/v1", exclude=())
    scene = Scene(tmp_path, source)
    objects.stored = {f"s3://source/v1/{path}": (data, "") for path, data in FILES.items()}
    objects.stored["s3://source/v1/models/"] = (b"", "")
    objects.stored["s3://source/v1/models/known.onnx"] = (b"known", "ab" * 32)
    objects.stored["s3://source/v1/src/train.py"] = (b"x", "")
    scene.run(plan_lock(scene.ports))
    files = {file.path: file for file in locked(scene.ports).files}
    assert set(files) == {*FILES, "models/known.onnx"}
    assert files["models/age.onnx"].sha256 == hashlib.sha256(b"age").hexdigest()
    assert files["models/age.onnx"].source == "s3://source/v1/models/age.onnx"
    assert files["models/known.onnx"].sha256 == "ab" * 32


def test_push_from_a_bucket_copies_the_objects(tmp_path: Path) -> None:
    source_objects = FakeObjects("source")
    source_objects.stored = {f"s3://source/v1/{path}": (data, "") for path, data in FILES.items()}
    scene = Scene(tmp_path, BucketSource(source_objects, "s3://source/v1/", exclude=()))
    scene.run(plan_lock(scene.ports))
    scene.run(plan_push(scene.ports, scene.target))
    assert sorted(data for data, _ in scene.objects.stored.values()) == sorted(FILES.values())


def test_push_stores_by_content_and_sends_nothing_twice(locked_scene: Scene) -> None:
    locked_scene.write({"models/copy.onnx": FILES["models/age.onnx"]})
    locked_scene.run(plan_lock(locked_scene.ports))
    locked_scene.run(plan_push(locked_scene.ports, locked_scene.target))
    digests = {hashlib.sha256(data).hexdigest() for data in FILES.values()}
    assert set(locked_scene.objects.stored) == {f"{locked_scene.target.models_uri}/{name}" for name in digests}
    again = plan_push(locked_scene.ports, locked_scene.target)
    assert again.steps == ()
    assert locked_scene.objects.puts == 3


def test_push_replaces_an_object_of_another_digest(locked_scene: Scene) -> None:
    locked_scene.run(plan_push(locked_scene.ports, locked_scene.target))
    uri = next(iter(locked_scene.objects.stored))
    locked_scene.objects.stored[uri] = (b"torn", "")
    locked_scene.run(plan_push(locked_scene.ports, locked_scene.target))
    assert locked_scene.objects.puts == 4
    assert locked_scene.objects.stored[uri][0] != b"torn"


def test_push_refuses_a_file_that_changed_since_the_lock(locked_scene: Scene) -> None:
    locked_scene.write({"models/age.onnx": b"AGE"})
    error = failure_of_push(locked_scene)
    assert error.code == "model-changed"
    assert "models/age.onnx" in error.message
    assert b"AGE" not in [data for data, _ in locked_scene.objects.stored.values()]


def test_push_names_a_file_that_is_gone(locked_scene: Scene) -> None:
    (locked_scene.folder / "models/models/age.onnx").unlink()
    error = failure_of_push(locked_scene)
    assert error.code == "model-missing"
    assert "models/age.onnx" in error.message


@pytest.mark.parametrize("written", [{"models/gender.onnx": b"new"}, {"models/age.onnx": b"longer than it was"}])
def test_push_says_that_the_lock_is_taken_as_it_is_when_the_source_lists_other_files(
    locked_scene: Scene, written: dict[str, bytes]
) -> None:
    locked_scene.run(plan_push(locked_scene.ports, locked_scene.target))
    assert not [line for line in locked_scene.ports.ui.lines if "taken as it is" in line]
    locked_scene.write(written)
    plan_push(locked_scene.ports, locked_scene.target)
    told = locked_scene.ports.ui.lines[-1]
    assert told.startswith("models.lock.yaml is taken as it is: ")
    assert f"in 1 file by name or size, such as `{next(iter(written))}`; `capctl models lock`" in told


def test_push_of_what_is_pushed_needs_no_source(locked_scene: Scene) -> None:
    locked_scene.run(plan_push(locked_scene.ports, locked_scene.target))
    said = list(locked_scene.ports.ui.lines)
    shutil.rmtree(locked_scene.folder / "models")
    assert plan_push(locked_scene.ports, locked_scene.target).steps == ()
    assert locked_scene.ports.ui.lines == said


def failure_of_push(scene: Scene) -> CapctlError:
    with pytest.raises(CapctlError) as failed:
        scene.run(plan_push(scene.ports, scene.target))
    return failed.value


def test_digest_covers_path_content_and_mode_but_not_the_source() -> None:
    one = ModelFile(path="models/a", bytes=1, sha256="a" * 64)
    other = ModelFile(path="models/b", bytes=1, sha256="b" * 64, source="s3://x/y", licence="MIT")
    plain = ModelFile(path="models/b", bytes=1, sha256="b" * 64)
    assert model_set((one, other)).digest == model_set((plain, one)).digest
    assert (
        model_set((one,)).digest
        != model_set((ModelFile(path="models/a", bytes=1, sha256="a" * 64, mode="0644"),)).digest
    )
