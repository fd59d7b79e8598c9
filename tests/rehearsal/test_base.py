"""Base images by a real engine in a real registry: both builders, a runtime that the host mounts, an official root."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import tarfile
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from images.base.contract import LABEL_CONTRACT
from images.base.dockerfile import LABEL_LOCK, LABEL_ROOT, USER_ID
from images.base.recipe import ROOT_CHANGES
from images.base.root_filesystem import python_minor, root_filesystem
from images.index import PYTHON_LABEL
from lifecycle.adapters.buildkit import find_buildkit
from lifecycle.adapters.cache_folder import cache_folder
from lifecycle.adapters.docker_engine import DockerEngine
from lifecycle.app import App
from lifecycle.domain.image_report import ImageIndex
from lifecycle.rehearsal.emulator.containers import jobs_supported
from lifecycle.rehearsal.services.registry import RunningRegistry, debian_registry, registry_supported
from lifecycle.workflows.verify_image import verify_image
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi
from tests.rehearsal.stage_parts import cache, forgetting

pytestmark = [pytest.mark.rehearsal, pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
# Two small packages of one file or few, with the hashes of the job's own lock.
PACKAGES = ("jmespath", "six")
MOUNT = "/opt/runtime/1"

LOOK = """
import json, os, sys, pathlib
pyc = [p for top in ("/opt/site", os.path.dirname(os.__file__)) for p in pathlib.Path(top).rglob("*.pyc")]
sources = [p for top in ("/opt/site",) for p in pathlib.Path(top).rglob("*.py")]
print(json.dumps({
    "pid": os.getpid(), "uid": os.getuid(), "line": pathlib.Path("/proc/self/cmdline").read_text().split("\\0")[:2],
    "folder": os.getcwd(), "prefix": sys.prefix, "compiled": len(pyc),
    "checked": [str(p) for p in pyc if p.read_bytes()[4:8] != b"\\1\\0\\0\\0"],
    "uncompiled": [str(p) for p in sources if not os.path.exists(__import__("importlib.util").util.cache_from_source(p))],
    "writable": [d for d in ("/opt/site", "/app", "/usr/lib") if os.access(d, os.W_OK)],
}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project that pushes to `registry`; `image` are the settings of its base."""

    folder: Path
    registry: RunningRegistry
    ui: FakeUi

    def app(self, repository: str, **base: str) -> App:
        section = {
            "root": "code",
            "repository": repository,
            "entrypoint": ("python3", "-m", "analyzer"),
            "base": {"requirements": "requirements.lock", **base},
        }
        target = replace(make_target(self.folder, image=section), registry_url=f"http://{self.registry.address}")
        return App(target, self.ui)

    def built(self, repository: str, **base: str) -> ImageIndex:
        app = self.app(repository, **base)
        return app.registry.index(app.base_builder.build().ref)

    def image(self, repository: str, digest: str) -> str:
        """As the engine names it."""
        return f"{self.registry.address}/{repository}@{digest}"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    if why := registry_supported() or jobs_supported() or (None if shutil.which("apt-get") else "no Debian packages"):
        pytest.skip(why)
    folder, ui = tmp_path_factory.mktemp("base"), FakeUi()
    (cache() / "rootfs").mkdir(parents=True, exist_ok=True)
    (folder / "cache" / "capctl").mkdir(parents=True)
    (folder / "cache" / "capctl" / "rootfs").symlink_to(cache() / "rootfs")
    lock = (ROOT / "requirements" / "analyzer.lock").read_text()
    entries = [re.search(rf"^{name}==.*\n(?:[ ].*\n)+", lock, re.MULTILINE) for name in PACKAGES]
    # A comment of its own: no engine's cache knows this lock, so that each build of this module is one.
    (folder / "requirements.lock").write_text(f"# {uuid.uuid4()}\n" + "".join(entry[0] for entry in entries if entry))
    shutil.copytree(ROOT / "analyzer", folder / "code" / "analyzer", ignore=shutil.ignore_patterns("__pycache__"))
    with (
        pytest.MonkeyPatch.context() as patch,
        forgetting(ui),
        debian_registry(folder, f"test-{uuid.uuid4().hex[:8]}") as registry,
    ):
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield Project(folder=folder, registry=registry, ui=ui)


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    docker = pytest.importorskip("docker")
    client = docker.from_env(timeout=300)
    yield client
    client.close()


@pytest.fixture(scope="module")
def classic(project: Project) -> ImageIndex:
    return project.built("classic", builder="classic")


def test_buildkit_and_the_classic_builder_give_the_same_files(project: Project, classic: ImageIndex) -> None:
    if find_buildkit("auto", DockerEngine(project.ui).ping) is None:
        pytest.skip("neither docker's plugin buildx nor a docker older than 23 is installed")
    buildkit = project.built("buildkit", builder="buildkit")
    assert [layer.entries for layer in buildkit.layers if layer.entries] == [layer.entries for layer in classic.layers]
    run = [index.config["config"] for index in (buildkit, classic)]
    for key in ("Entrypoint", "Env", "Labels", "User", "WorkingDir"):
        assert run[0][key] == run[1][key]


def test_base_that_the_registry_has_needs_neither_an_engine_nor_wheels(
    project: Project, classic: ImageIndex, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "capctl").mkdir()
    (tmp_path / "capctl" / "rootfs").symlink_to(project.folder / "cache" / "capctl" / "rootfs")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert project.built("classic", builder="buildkit").digest == classic.digest
    assert not (tmp_path / "capctl" / "wheelhouse").exists()


def test_base_names_what_it_is_made_of(project: Project, classic: ImageIndex) -> None:
    lock = hashlib.sha256((project.folder / "requirements.lock").read_bytes()).hexdigest()
    assert classic.labels[LABEL_LOCK] == lock
    assert re.fullmatch(r"3\.\d+", classic.labels[PYTHON_LABEL])
    assert re.fullmatch("sha256:[0-9a-f]{64}", classic.labels[LABEL_ROOT])
    assert LABEL_CONTRACT not in classic.labels


def test_base_runs_python_itself_as_nobody_from_bytecode_that_no_time_makes_stale(
    project: Project, classic: ImageIndex, engine: Any
) -> None:
    assert classic.config["config"]["Entrypoint"] == ["python3"]
    assert not classic.config["config"].get("Cmd")
    said = json.loads(run(engine, project.image("classic", classic.digest), "-c", LOOK)[1])
    assert (said["pid"], said["line"]) == (1, ["python3", "-c"])
    assert (said["uid"], said["folder"], said["writable"]) == (USER_ID, "/app", [])
    assert said["compiled"] > 400
    assert (said["checked"], said["uncompiled"]) == ([], [])


def test_runtime_of_the_host_is_used_if_it_is_the_one_of_the_contract(
    project: Project, engine: Any, tmp_path: Path
) -> None:
    site = tmp_path / "runtime" / "site-packages"
    site.mkdir(parents=True)
    with zipfile.ZipFile(next((project.folder / "cache" / "capctl" / "wheelhouse").glob("*/six-*.whl"))) as wheel:
        wheel.extractall(site)
    contract = make_contract(project.folder / "contract.json", site)
    shutil.copy(contract, tmp_path / "runtime" / "contract.json")
    app = project.app("contract", runtime_contract=contract.name)
    base = app.registry.index(app.base_builder.build().ref)
    code = app.code.push()
    image = project.image("contract", code.ref.digest)

    sha256 = hashlib.sha256(contract.read_bytes()).hexdigest()
    assert base.labels[LABEL_CONTRACT] == sha256
    assert not [entry.path for layer in base.layers for entry in layer.entries if entry.path.startswith("opt/site/six")]
    assert app.base_builder.runtime_modules() == {"six"}
    # The short lock of these tests has not all that the analyzer imports.
    assert {each.code for each in verify_image(app, app.target, code.ref.digest).violations} == {"import-unresolved"}

    ask = {"mount": tmp_path / "runtime", "entrypoint": ["python3"]}
    found = run(engine, image, "-c", "import jmespath, six; print(jmespath.__file__, six.__file__)", **ask)
    assert found == (0, f"/opt/site/jmespath/__init__.py {MOUNT}/site-packages/six.py\n")
    assert run(engine, image, "--help", mount=tmp_path / "runtime")[0] == 0

    status, said = run(engine, image, "batch")
    assert (status, said.splitlines()[0].partition(":")[0]) == (78, "error[runtime-missing]")
    (tmp_path / "runtime" / "contract.json").write_text("{}")
    status, said = run(engine, image, "batch", mount=tmp_path / "runtime")
    assert (status, said.splitlines()[0].partition(":")[0]) == (78, "error[runtime-mismatch]")
    assert sha256 in said


def test_official_image_with_its_python_in_usr_local_is_a_root(project: Project, engine: Any, tmp_path: Path) -> None:
    digest, python = push_official_root(engine, project.registry.address, tmp_path / "official.tar")
    name = f"{project.registry.address}/python@{digest}"
    try:
        base = project.built("official", from_image=name, python=python)
        said = json.loads(run(engine, project.image("official", base.digest), "-c", LOOK)[1])
    finally:
        forget(engine, name)
    assert base.labels[LABEL_ROOT] == digest
    assert said["prefix"] == "/usr/local"
    assert said["compiled"] > 400
    assert (said["checked"], said["uncompiled"], said["uid"]) == ([], [], USER_ID)


def push_official_root(engine: Any, address: str, tar: Path) -> tuple[str, str]:
    """An image with Python below /usr/local, as Docker's own Python images have it; its digest and minor version.

    It is in the registry alone, so that the builder has to pull it.
    """
    root = root_filesystem(cache_folder())
    with tarfile.open(root) as source, tarfile.open(tar, "w", format=tarfile.PAX_FORMAT) as out:
        for member in source:
            content = source.extractfile(member) if member.isreg() else None
            member.name = re.sub(r"^usr/(bin|lib)/python3", r"usr/local/\1/python3", member.name)
            out.addfile(member, io.BytesIO(content.read()) if content else None)
    repository, tag = f"{address}/python", "slim"
    engine.api.import_image_from_file(str(tar), repository=repository, tag=tag, changes=list(ROOT_CHANGES))
    lines = list(engine.api.push(repository, tag=tag, stream=True, decode=True))
    engine.images.remove(f"{repository}:{tag}", force=True)
    return next(line["aux"]["Digest"] for line in lines if "Digest" in line.get("aux", {})), python_minor(tar)


def make_contract(path: Path, site: Path) -> Path:
    """A contract that brings `six`, as the lock has it, from the folder `site`."""
    lock = (path.parent / "requirements.lock").read_text()
    files = {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(site.rglob("*")) if file.is_file()}
    lines = sorted(f"{digest}  {file.relative_to(site.parent)}  0644\n" for file, digest in files.items())
    document = {
        "schema": "capctl.runtime-contract/1",
        "python": python_minor(root_filesystem(cache_folder())),
        "mount": MOUNT,
        "packages": {"six": lock.partition("six==")[2].split()[0]},
        "modules": ["six"],
        "libraries": {},
        "tree_sha256": hashlib.sha256("".join(lines).encode()).hexdigest(),
    }
    path.write_text(json.dumps(document))
    return path


def run(
    engine: Any, image: str, *command: str, mount: Path | None = None, entrypoint: list[str] | None = None
) -> tuple[int, str]:
    """Exit code and output of a container that has no network and can write nothing."""
    container = engine.containers.run(
        image,
        list(command),
        detach=True,
        network_mode="none",
        read_only=True,
        volumes={str(mount): {"bind": MOUNT, "mode": "ro"}} if mount else None,
        **({"entrypoint": entrypoint} if entrypoint else {}),
    )
    try:
        status = container.wait(timeout=60)["StatusCode"]
        return status, container.logs().decode()
    finally:
        container.remove(force=True)
        forget(engine, image)


def forget(engine: Any, image: str) -> None:
    with suppress(Exception):  # gone already
        engine.images.remove(image, force=True)
