"""The whole life of a job image on this machine: base by the engine, code by the registry API, a run, the checks."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from images.base.dockerfile import USER_ID
from images.base.recipe import ROOT_CHANGES, BaseRecipe, context_tar, dockerfile_of, plan_base, wheels_of
from images.checks import check_image, locked_packages
from images.code_push import PushResult
from images.digests import ImageRef
from images.index import PYTHON_LABEL, ImageIndex
from images.inspect import image_index
from images.layer import read_tree
from images.registry import RegistryClient
from images.rules import Rules
from images.selection import select_files
from lifecycle.adapters.docker_engine import DockerEngine
from tests.fakes.code_push import push_code
from tests.fakes.ui import FakeUi
from tests.rehearsal.stage_parts import until

pytestmark = [pytest.mark.rehearsal, pytest.mark.slow, pytest.mark.timeout(900)]

LOCK = Path(__file__).parents[2] / "requirements" / "analyzer.lock"
REPOSITORY = "capctl/analyzer"
LABEL = {"CAPCTL_REHEARSAL": uuid.uuid4().hex[:12]}
MB = 10**6
BASE_BOUND_BYTES = 400 * MB

MAIN = """
import json, os, sys
import av, boto3, cv2, numpy, onnxruntime, psycopg
boto3.client("s3", region_name="us-west-2")
faces = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
read = {}
for encoder in ("libx264", "libx265", "libvpx-vp9", "libsvtav1"):
    clip_file = f"/dev/shm/{encoder}.mkv"
    with av.open(clip_file, "w") as clip:
        stream = clip.add_stream(encoder, rate=5)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for shade in (0, 100, 200):
            clip.mux(stream.encode(av.VideoFrame.from_ndarray(numpy.full((64, 64, 3), shade, "uint8"))))
        clip.mux(stream.encode())
    with av.open(clip_file) as clip:
        by_av = [frame.to_ndarray(format="bgr24").mean() for frame in clip.decode(video=0)]
    capture, by_cv = cv2.VideoCapture(clip_file, cv2.CAP_FFMPEG), []
    while (found := capture.read())[0]:
        by_cv.append(found[1].mean())
    read[encoder] = [len(by_av), len(by_cv), bool(numpy.allclose(by_av, by_cv, atol=2))]
frame = cv2.cvtColor(numpy.zeros((8, 8, 3), "uint8"), cv2.COLOR_BGR2GRAY)
print(json.dumps({"uid": os.getuid(), "python": sys.version_info[:2], "loaded": not faces.empty(),
                  "providers": onnxruntime.get_available_providers(), "frame": frame.shape,
                  "codecs": "h264" in av.codecs_available, "cached": bool(cv2.__spec__.cached), "word": "first", "read": read}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltBase:
    """The base in the registry, and what each step took."""

    ref: ImageRef
    recipe: BaseRecipe
    seconds: dict[str, float]


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    docker = pytest.importorskip("docker")
    try:
        client = docker.from_env(timeout=600)
        client.ping()
    except docker.errors.DockerException as err:
        pytest.skip(f"no container engine answers: {type(err).__name__}")
    yield client
    for container in client.containers.list(
        all=True, filters={"label": f"CAPCTL_REHEARSAL={LABEL['CAPCTL_REHEARSAL']}"}
    ):
        container.remove(force=True)
    client.close()


@pytest.fixture(scope="module")
def registry_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("docker-registry") or shutil.which("registry")
    if program is None:
        pytest.skip("`docker-registry` is not installed")
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "blobs")}, "delete": {"enabled": True}},
        "http": {"addr": address, "relativeurls": True},
    }
    (folder / "registry.yml").write_text(json.dumps(config))
    with (folder / "registry.log").open("wb") as log:
        server = subprocess.Popen([program, "serve", str(folder / "registry.yml")], stdout=log, stderr=log)
    try:
        until(lambda: answers(f"http://{address}/v2/"))
        yield address
    finally:
        server.terminate()
        server.wait(timeout=10)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def base(engine: Any, registry_address: str, cache: Path) -> Iterator[BuiltBase]:
    if shutil.which("apt-get") is None:
        pytest.skip("no Debian packages to make a root filesystem from")
    seconds: dict[str, float] = {}
    with timed(seconds, "plan_cold"):
        recipe = plan_base(LOCK, cache)
    with timed(seconds, "plan_warm"):
        assert plan_base(LOCK, cache) == recipe
    with timed(seconds, "wheels"):
        wheels = wheels_of(recipe, cache)
    assert recipe.root_tar is not None
    had_root = bool(engine.images.list(name=recipe.from_image))
    name, _, tag = recipe.from_image.partition(":")
    engine.api.import_image_from_file(str(recipe.root_tar), repository=name, tag=tag, changes=list(ROOT_CHANGES))
    context = context_tar(
        cache / "context.tar",
        dockerfile=dockerfile_of(recipe, "classic", stage_labels=LABEL),
        requirements_lock=LOCK,
        trims=recipe.trims,
        wheels=wheels,
    )
    repository = f"{registry_address}/{REPOSITORY}"
    with timed(seconds, "build_cold"):
        build(engine, context, f"{repository}:{recipe.tag}")
    with timed(seconds, "build_warm"):
        build(engine, context, f"{repository}:{recipe.tag}")
    with timed(seconds, "push"):
        digest = push(engine, repository, recipe.tag)
    yield BuiltBase(ref=ImageRef(repository=REPOSITORY, digest=digest), recipe=recipe, seconds=seconds)
    engine.images.remove(f"{repository}:{recipe.tag}", force=True)
    for image in engine.images.list(all=True, filters={"label": f"CAPCTL_REHEARSAL={LABEL['CAPCTL_REHEARSAL']}"}):
        with contextlib.suppress(Exception):
            engine.images.remove(image.id, force=True)
    if not had_root:
        engine.images.remove(recipe.from_image, force=True)


def test_code_is_pushed_on_the_base_and_runs_without_network_as_an_ordinary_user(
    engine: Any, registry_address: str, base: BuiltBase, cache: Path, tmp_path: Path
) -> None:
    client = RegistryClient(f"http://{registry_address}", REPOSITORY)
    seconds = dict(base.seconds)
    write_code(tmp_path, MAIN)
    with timed(seconds, "code_first"):
        first = push_tree(client, base, tmp_path, cache)
    write_code(tmp_path, MAIN.replace('"first"', '"second"'))
    with timed(seconds, "code_changed"):
        second = push_tree(client, base, tmp_path, cache)

    assert first.requests == 8  # six, and once the manifest and the config of the base
    assert second.requests == 6

    with timed(seconds, "pull_and_run"):
        said = run(engine, f"{registry_address}/{REPOSITORY}@{second.digest}")
    assert said["uid"] == USER_ID
    assert said["word"] == "second"
    assert said["loaded"]
    assert said["codecs"]
    assert "CPUExecutionProvider" in said["providers"]
    # Frames by PyAV and by OpenCV, whose FFmpeg is PyAV's, and whether they show the same.
    assert set(map(tuple, said["read"].values())) == {(3, 3, True)}

    with timed(seconds, "index_cold"):
        index = image_index(client, second.digest, cache)
    with timed(seconds, "index_warm"):
        assert image_index(client, second.digest, cache) == index
    rules = Rules(allowed_packages=locked_packages(LOCK.read_text()), allowed_code=frozenset({"job.py"}))
    report(index, seconds, second)
    assert check_image(index, rules) == []
    assert index.labels[PYTHON_LABEL] == base.recipe.python


def test_base_is_small_enough_and_each_of_its_libraries_loads(
    engine: Any, base: BuiltBase, registry_address: str, cache: Path
) -> None:
    index = image_index(RegistryClient(f"http://{registry_address}", REPOSITORY), base.ref.digest, cache)
    assert index.unpacked_bytes <= BASE_BOUND_BYTES
    script = (
        "import ctypes, json, os, pathlib, av, cv2, numpy, onnxruntime, psycopg\n"
        "failed = []\n"
        "tops = [pathlib.Path('/opt/site'), pathlib.Path(os.__file__).parent]\n"
        "for path in sorted(path for top in tops for path in top.rglob('*.so*')):\n"
        "    try:\n"
        "        ctypes.CDLL(str(path))\n"
        "    except OSError as error:\n"
        "        failed.append(str(error))\n"
        "print(json.dumps({'failed': failed}))"
    )
    assert run(engine, f"{registry_address}/{REPOSITORY}@{base.ref.digest}", "-c", script) == {"failed": []}


def test_each_record_of_a_package_is_true_of_the_image(engine: Any, base: BuiltBase, registry_address: str) -> None:
    script = (
        "import base64, csv, hashlib, json, pathlib\n"
        "site, wrong, listed, packages = pathlib.Path('/opt/site'), [], set(), 0\n"
        "for record in site.glob('*.dist-info/RECORD'):\n"
        "    packages += 1\n"
        "    for name, digest, size in csv.reader(record.read_text().splitlines()):\n"
        "        content = (site / name).read_bytes()\n"
        "        found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip('=')\n"
        "        listed.add(name)\n"
        "        if digest and (digest, size) != (f'sha256={found}', str(len(content))):\n"
        "            wrong.append(name)\n"
        "there = {str(path.relative_to(site)) for path in site.rglob('*') if path.is_file() and not path.is_symlink()}\n"
        "unlisted = [name for name in sorted(there - listed) if not name.endswith('.pyc')]\n"
        "print(json.dumps({'wrong': wrong, 'unlisted': unlisted, 'packages': packages}))"
    )
    said = run(engine, f"{registry_address}/{REPOSITORY}@{base.ref.digest}", "-c", script)
    assert said == {"wrong": [], "unlisted": [], "packages": len(locked_packages(LOCK.read_text()))}


def test_base_is_imported_without_compiling_anything(engine: Any, base: BuiltBase, registry_address: str) -> None:
    script = (
        "import av, boto3, cv2, numpy, onnxruntime, psycopg, sys, os\n"
        "missing = [m.__file__ for m in list(sys.modules.values()) if getattr(m, '__cached__', None)"
        " and not os.path.exists(m.__cached__)]\n"
        "print(__import__('json').dumps({'missing': missing}))"
    )
    said = run(engine, f"{registry_address}/{REPOSITORY}@{base.ref.digest}", "-c", script)
    assert said["missing"] == []


@contextlib.contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).status_code == 200
    except requests.ConnectionError:
        return False


def build(engine: Any, context: Path, tag: str) -> None:
    with context.open("rb") as stream:
        lines = engine.api.build(
            fileobj=stream, custom_context=True, tag=tag, rm=True, decode=True, network_mode="none"
        )
        errors = [line["error"] for line in lines if "error" in line]
    assert errors == []


def push(engine: Any, repository: str, tag: str) -> str:
    digest = ""
    for line in engine.api.push(repository, tag=tag, stream=True, decode=True):
        assert "error" not in line, line
        digest = line.get("aux", {}).get("Digest", digest)
    return digest


def write_code(folder: Path, text: str) -> None:
    (folder / "job.py").write_text(text)


def push_tree(client: RegistryClient, base: BuiltBase, folder: Path, cache: Path) -> PushResult:
    tree = read_tree(folder, select_files(folder))
    return push_code(client, base.ref, tree, entrypoint=("python3", "-m", "job"), cache=cache)


def run(engine: Any, image: str, *arguments: str) -> dict[str, Any]:
    output = engine.containers.run(
        image, list(arguments) or None, network_mode="none", labels=LABEL, remove=True, read_only=True, stderr=True
    )
    engine.images.remove(image, force=True)
    said: dict[str, Any] = json.loads(output.decode().strip().splitlines()[-1])
    return said


def report(index: ImageIndex, seconds: dict[str, float], pushed: PushResult) -> None:
    print()
    print(f"image  {index.compressed_bytes / MB:6.1f} MB compressed  {index.unpacked_bytes / MB:6.1f} MB unpacked")
    for layer in index.layers:
        print(f"layer  {layer.compressed_bytes / MB:6.1f} MB compressed  {layer.unpacked_bytes / MB:6.1f} MB unpacked")
    print(f"push   {pushed.requests} requests  {pushed.bytes_sent} bytes")
    for name, value in seconds.items():
        print(f"time   {name:16}{value:8.3f} s")


def test_engine_forgets_a_name_that_somebody_has_removed_already(engine: Any) -> None:
    DockerEngine(FakeUi()).untag("127.0.0.1:1/never-there:1")
