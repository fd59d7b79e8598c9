"""The image that the project started from, scaled down: built by a real engine, pushed to a real registry, and explained."""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from images.checks import check_image
from images.explain import Explanation, LayerCost
from images.index import ImageIndex
from images.rules import Rules
from lifecycle.app import App
from lifecycle.rehearsal.emulator.containers import jobs_supported
from lifecycle.rehearsal.services.registry import debian_registry, registry_supported
from lifecycle.workflows.explain_image import explain_image
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi
from tests.rehearsal.stage_parts import tiny_tar

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(300)]

FOLDER = Path(__file__).parent / "seed_image"
PROGRAMS = ("chmod", "cp", "mkdir", "rm", "tr")
KB = 1000
# A zip file with the entry that PyTorch writes.
CHECKPOINT = b"PK\x03\x04" + 26 * b"\0" + b"archive/data.pkl"
# What the checkout held besides its code, in kB.
HEAVY = {
    "models/yolov8x_person_face.pt": 150,
    "checkpoints/model_imdb_cross_person_4.22_99.46.pth.tar": 80,
    "checkpoints/llava-fastvithd_0.5b_stage2/model.safetensors": 1500,
    "experiments/coco/segm-4_lr1e-3.yaml": 1,
    "src/videos/sample.mp4": 900,
    "src/old/train.py": 1,
    "tools/annotate.bin": 600,
    "tools/old.tar": 200,
    "result/tracks.csv": 300,
    "result/faces.csv": 200,
    ".git/objects/pack/pack-1.pack": 700,
    ".mypy_cache/3.12/cache.json": 50,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """The image: what the registry holds, and what `capctl image explain` tells of it."""

    index: ImageIndex
    cost: Explanation

    def copied_to(self, target: str) -> LayerCost:
        """The layer of a COPY; the classic builder forgets from where."""
        return self._only(
            layer
            for layer in self.cost.layers
            if layer.made_by.startswith("COPY ") and layer.made_by.split()[-1] == target
        )

    def run(self, command: str) -> LayerCost:
        """The layer of a RUN that begins so."""
        return self._only(layer for layer in self.cost.layers if layer.made_by.startswith(f"RUN {command}"))

    def _only(self, layers: Iterable[LayerCost]) -> LayerCost:
        (found,) = layers
        return found


@pytest.fixture(scope="module", params=["classic", "buildkit"])
def seed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Seed:
    if why := jobs_supported() or registry_supported():
        pytest.skip(why)
    import docker

    folder, run = tmp_path_factory.mktemp("seed"), uuid.uuid4().hex[:8]
    write_context(folder / "context")
    engine, root = docker.from_env(timeout=120), f"capctl-test/seed-root:{run}"
    with debian_registry(folder, f"test-{run}") as registry, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        name = f"{registry.address}/seed:{run}"
        try:
            engine.api.import_image_from_data(root_tar(), repository=root.split(":")[0], tag=run)
            build = {"classic": build_classic, "buildkit": build_with_buildkit}[request.param]
            build(engine, folder / "context", root, name)
            lines = list(engine.api.push(name, stream=True, decode=True))
            assert not [line for line in lines if "error" in line]
        finally:
            for each in (name, root):
                if engine.images.list(name=each):
                    engine.images.remove(each, force=True)
            engine.close()
        target = replace(make_target(folder, image={"repository": "seed"}), registry_url=f"http://{registry.address}")
        app = App(target, FakeUi())
        found = explain_image(app, target, run, top=20, depth=None)
        return Seed(index=app.registry.index(found.ref), cost=found.cost)


def write_context(folder: Path) -> None:
    noise = random.Random(1)
    for path, kilobytes in HEAVY.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        head = CHECKPOINT if path.endswith((".pt", ".pth.tar")) else b""
        (folder / path).write_bytes(head + noise.randbytes(kilobytes * KB - len(head)))
    (folder / "batch_run.py").write_text("print('analysed')\n")
    (folder / "requirements.txt").write_text("opencv-python==4.8.1.78\nnumpy==1.26.0\n")
    shutil.copy(FOLDER / "Dockerfile", folder / "Dockerfile")


def root_tar() -> bytes:
    """A few programs, and stand-ins for a package manager and for pip."""
    buffer = io.BytesIO(tiny_tar(*PROGRAMS))
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        for path in sorted((FOLDER / "root" / "usr" / "bin").iterdir()):
            archive.add(path, arcname=f"usr/bin/{path.name}")
    return buffer.getvalue()


def build_classic(engine: Any, context: Path, root: str, name: str) -> None:
    engine.images.build(
        path=str(context), tag=name, buildargs={"ROOT": root}, rm=True, forcerm=True, network_mode="none"
    )


def build_with_buildkit(_: Any, context: Path, root: str, name: str) -> None:
    """By the first CLI that can."""
    told = ""
    for folder in os.get_exec_path():
        if program := shutil.which("docker", path=folder):
            command = [program, *f"build --network none --build-arg ROOT={root} --tag {name}".split(), str(context)]
            done = subprocess.run(
                command, env={**os.environ, "DOCKER_BUILDKIT": "1"}, capture_output=True, text=True, check=False
            )
            if done.returncode == 0:
                return
            told = done.stderr
            if "buildx" not in told:
                break
    if "buildx" in told or not told:
        pytest.skip("no `docker` here has BuildKit")
    raise AssertionError(told)


@pytest.mark.parametrize(
    ("target", "brought"),
    [
        ("./models", ["models/yolov8x_person_face.pt"]),
        (
            "./checkpoints",
            [
                "checkpoints/llava-fastvithd_0.5b_stage2/model.safetensors",
                "checkpoints/model_imdb_cross_person_4.22_99.46.pth.tar",
            ],
        ),
        ("./experiments", ["experiments/coco/segm-4_lr1e-3.yaml"]),
        ("./src", ["src/videos/sample.mp4", "src/old/train.py"]),
        ("./tools", ["tools/annotate.bin", "tools/old.tar"]),
        ("./result/", ["result/tracks.csv", "result/faces.csv"]),
    ],
)
def test_copy_is_told_with_what_it_brought_and_that_a_later_copy_made_it_waste(
    seed: Seed, target: str, brought: list[str]
) -> None:
    layer = seed.copied_to(target)
    assert [(file.path, file.size_bytes) for file in layer.largest] == [
        (f"/app/{path}", HEAVY[path] * KB) for path in brought
    ]
    assert layer.hidden_bytes == layer.unpacked_bytes == sum(HEAVY[path] * KB for path in brought)
    assert layer.main[0].path.startswith(f"/app/{target.strip('./')}")


def test_copy_of_everything_repeats_what_was_there_and_brings_version_control_and_caches(seed: Seed) -> None:
    layer, code = seed.copied_to("."), ("batch_run.py", "requirements.txt", "Dockerfile")
    folders = {folder.path: folder.size_bytes for folder in layer.folders}
    assert (folders["/app/.git/objects/pack"], folders["/app/.mypy_cache/3.12"]) == (700 * KB, 50 * KB)
    sources = sum(file.size_bytes for file in layer.largest if file.path.removeprefix("/app/") in code)
    assert layer.unpacked_bytes == sum(HEAVY.values()) * KB + sources
    assert {one.fate for one in layer.taken} == {"repeated"}
    repeated = {one.layer: one.size_bytes for one in layer.taken}
    for target in ("./models", "./checkpoints", "./experiments", "./src", "./tools", "./result/", "./"):
        below = seed.copied_to(target)
        assert repeated[below.number] == below.unpacked_bytes


def test_install_is_told_with_its_packages_and_the_cache_that_it_left(seed: Seed) -> None:
    layer = seed.run("pip install torch")
    assert [folder.path for folder in layer.main] == ["/usr/lib/python3/site-packages", "/root/.cache/pip/http"]
    packages = {package.name: package for package in seed.cost.packages}
    assert packages.keys() == {"torch", "nvidia-cublas-cu12", "nvidia-cudnn-cu12", "opencv-python", "numpy"}
    for name, kilobytes in {"torch": 1144, "nvidia-cublas-cu12": 856, "nvidia-cudnn-cu12": 1164}.items():
        package = packages[name]
        assert (package.size_bytes // KB, package.layers, package.is_recorded) == (kilobytes, (layer.number,), True)
    assert packages["opencv-python"].layers == (seed.run("pip install -r").number,)
    assert layer.hidden_bytes == (114 + 85 + 116) * KB


def test_removal_in_a_layer_of_its_own_frees_nothing(seed: Seed) -> None:
    layer = seed.run("rm -rf")
    assert (layer.unpacked_bytes, layer.files) == (0, 0)
    assert {(one.layer, one.fate, one.size_bytes) for one in layer.taken} == {
        (seed.run("apt-get").number, "deleted", 60 * KB),
        (seed.run("pip install torch").number, "deleted", (114 + 85 + 116) * KB),
        (seed.run("pip install -r").number, "deleted", (14 + 2) * KB),
        (seed.copied_to(".").number, "deleted", 200 * KB),
    }


def test_change_of_modes_doubles_the_bytes(seed: Seed) -> None:
    layer, everything = seed.run("chmod"), seed.copied_to(".")
    assert layer.unpacked_bytes == 1580 * KB
    assert [(one.layer, one.fate, one.size_bytes) for one in layer.taken] == [
        (everything.number, "repeated", 1580 * KB)
    ]


def test_copy_within_the_image_is_waste(seed: Seed) -> None:
    layer = seed.run("cp")
    assert layer.copied_bytes == layer.unpacked_bytes == 150 * KB
    (copy,) = [file for file in seed.cost.wasted if file.why == "copied"]
    assert (copy.path, copy.of) == ("/app/best.pt", "/app/models/yolov8x_person_face.pt")


def test_every_byte_is_seen_or_wasted(seed: Seed) -> None:
    cost = seed.cost
    assert (
        cost.unpacked_bytes
        == seed.index.unpacked_bytes
        == cost.seen_bytes + sum(layer.hidden_bytes for layer in cost.layers)
    )
    assert cost.wasted_bytes == sum(layer.hidden_bytes + layer.copied_bytes for layer in cost.layers)


def test_models_are_found_in_every_layer_that_carries_them(seed: Seed) -> None:
    names = {"yolov8x_person_face.pt", "best.pt", "model_imdb_cross_person_4.22_99.46.pth.tar", "model.safetensors"}
    assert {model.path.rpartition("/")[2] for model in seed.cost.models} == names
    assert [model.is_seen for model in seed.cost.models].count(True) == len(names)
    assert len(seed.cost.models) == 9


def test_verification_names_what_must_not_ship(seed: Seed) -> None:
    violations = check_image(seed.index, Rules(max_wasted_bytes=1 * KB))
    found = {(violation.code, violation.path) for violation in violations}
    assert found >= {
        ("model-file", "app/models/yolov8x_person_face.pt"),
        ("model-file", "app/checkpoints/model_imdb_cross_person_4.22_99.46.pth.tar"),
        ("model-file", "app/checkpoints/llava-fastvithd_0.5b_stage2/model.safetensors"),
        ("model-file", "app/best.pt"),
        ("cache-left-behind", "root/.cache/pip/http/torch"),
        ("cache-left-behind", "var/lib/apt/lists/main_Packages"),
        ("forbidden-path", "app/.mypy_cache/3.12/cache.json"),
        ("forbidden-path", "app/.git/objects/pack/pack-1.pack"),
        ("forbidden-path", "app/src/videos/sample.mp4"),
        ("forbidden-path", "app/tools/annotate.bin"),
        ("forbidden-path", "app/result/tracks.csv"),
    }
    assert "wasted-bytes" in {violation.code for violation in violations}
