"""Code that must never ship, on a real registry: refused by `image push` before a byte is sent, and by `image verify` if it got there."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from images.digests import ImageRef, canonical_json, digest_of
from images.layer import read_tree
from images.media_types import OCI
from images.registry import RegistryClient
from lifecycle.app import App
from lifecycle.cli.boundary import run_command_line
from lifecycle.cli.main import root
from lifecycle.config.load import load_target
from lifecycle.rehearsal.services.registry import RunningRegistry, debian_registry, registry_supported
from tests.fakes.code_push import push_code
from tests.fakes.ui import FakeUi

pytestmark = pytest.mark.rehearsal

REPOSITORY = "refusals"
BASE_FILES = {
    "usr/local/lib/python3.12/os.py": b"",
    "usr/local/lib/python3.12/json/__init__.py": b"",
    "usr/bin/env": b"x",
}
GOOD = "import json\nfrom pkg import part\n\nprint(json.dumps(part.WORD))\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`put` makes it in the folder of the code; `code` and `path` are what must be said of it."""

    put: Callable[[Path], object]
    code: str
    path: str

    def __str__(self) -> str:
        return self.code


def renamed_model(code: Path) -> None:
    """A checkpoint as PyTorch saves it, under the name of a text."""
    (code / "readme.txt").write_bytes(b"PK\x03\x04" + bytes(26) + b"archive/data.pkl" + bytes(2000))


def large_file(code: Path) -> None:
    with (code / "table.bin").open("wb") as out:
        out.truncate(60_000_000)


def secret(code: Path) -> None:
    (code / "settings.py").write_text("KEY = '" + "AKIA" + "Q3" * 8 + "'\n")


FAULTS = (
    Fault(put=renamed_model, code="model-file", path="app/readme.txt"),
    Fault(put=large_file, code="oversized-file", path="app/table.bin"),
    Fault(put=secret, code="secret-found", path="app/settings.py"),
    Fault(put=lambda code: (code / "data").symlink_to("../../data"), code="link-outside-code", path="app/data"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("refusals")


@pytest.fixture(scope="module")
def registry(folder: Path) -> Iterator[RunningRegistry]:
    if why := registry_supported():
        pytest.skip(why)
    with (
        pytest.MonkeyPatch.context() as patch,
        debian_registry(folder, f"test-{uuid.uuid4().hex[:8]}") as running,
    ):
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield running


@pytest.fixture
def client(registry: RunningRegistry) -> RegistryClient:
    return RegistryClient(f"http://{registry.address}", REPOSITORY)


@pytest.fixture
def code(registry: RunningRegistry, client: RegistryClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the code of a project whose base image is in the registry; the current folder is the project's."""
    (tmp_path / "code" / "pkg").mkdir(parents=True)
    (tmp_path / "code" / "job.py").write_text(GOOD)
    (tmp_path / "code" / "pkg" / "part.py").write_text(f"WORD = {uuid.uuid4().hex!r}\n")
    (tmp_path / "requirements.txt").write_text("# no requirements\n")
    image = {"root": "code", "include": ["**"], "repository": REPOSITORY}
    target = {
        "account": "123456789012",
        "region": "us-west-2",
        "registry_url": f"http://{registry.address}",
        "image": {**image, "base": {"from_image": "python@sha256:" + "0" * 64}},
    }
    (tmp_path / "capctl.yaml").write_text(yaml.safe_dump({"project": "vision", "targets": {"test": target}}))
    monkeypatch.chdir(tmp_path)
    push_base(client, App(load_target(tmp_path / "capctl.yaml", None, environment={}), FakeUi()).base_builder.tag())
    return tmp_path / "code"


@pytest.fixture
def capctl(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict[str, Any]]]:
    """A command line; its exit code and its document."""

    def run(*words: str) -> tuple[int, dict[str, Any]]:
        exit_code = run_command_line(root, ["-o", "json", *words])
        return exit_code, json.loads(capsys.readouterr().out)

    return run


def push_base(client: RegistryClient, tag: str) -> str:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in BASE_FILES.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    layer = gzip.compress(out.getvalue(), mtime=0)
    config = canonical_json({"rootfs": {"type": "layers", "diff_ids": [digest_of(out.getvalue())]}})
    for blob in (layer, config):
        client.upload_blob(blob)
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI.manifest,
        "config": {"mediaType": OCI.config, "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": OCI.layer, "digest": digest_of(layer), "size": len(layer)}],
    }
    return client.put_manifest(tag, canonical_json(manifest), OCI.manifest)


def push_unasked(client: RegistryClient, code: Path) -> str:
    """Push the code as another tool might, which asks nobody."""
    base = ImageRef(repository=REPOSITORY, digest=push_base(client, "base-unasked"))
    paths = [path.relative_to(code).as_posix() for path in code.rglob("*") if path.is_symlink() or path.is_file()]
    return push_code(client, base, read_tree(code, paths), entrypoint=("python3",), cache=code.parent / "cache").digest


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_push_refuses_what_must_not_ship_and_sends_nothing(
    fault: Fault, code: Path, folder: Path, capctl: Callable[..., tuple[int, dict[str, Any]]]
) -> None:
    fault.put(code)
    stored = sorted((folder / "storage").rglob("*"))
    exit_code, document = capctl("image", "push")
    assert (exit_code, document["code"]) == (1, "image-rejected"), document
    (detail,) = document["details"]
    assert detail.startswith(f"{fault.code}: `{fault.path}` ")
    assert sorted((folder / "storage").rglob("*")) == stored


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_verify_refuses_what_got_into_the_registry_all_the_same(
    fault: Fault, code: Path, client: RegistryClient, capctl: Callable[..., tuple[int, dict[str, Any]]]
) -> None:
    fault.put(code)
    exit_code, document = capctl("image", "verify", push_unasked(client, code))
    assert (exit_code, document["schema"], document["ok"]) == (1, "capctl.image-report/1", False)
    (violation,) = document["violations"]
    assert (violation["code"], violation["path"]) == (fault.code, fault.path)
    assert violation["layer"].startswith("sha256:")


def test_push_names_all_faults_at_once_and_goes_on_when_they_are_gone(
    code: Path, client: RegistryClient, capctl: Callable[..., tuple[int, dict[str, Any]]]
) -> None:
    for fault in FAULTS:
        fault.put(code)
    exit_code, document = capctl("image", "push")
    assert exit_code == 1
    assert {detail.split(":")[0] for detail in document["details"]} == {fault.code for fault in FAULTS}
    for fault in FAULTS:
        (code / fault.path.removeprefix("app/")).unlink()
    exit_code, pushed = capctl("image", "push")
    assert exit_code == 0
    assert pushed["image"].endswith(str(client.head_manifest(pushed["tag"])))
    assert capctl("image", "verify")[1]["violations"] == []
    assert capctl("image", "push")[1]["requests"] == 1


def test_module_that_was_forgotten_is_named_before_the_push_once_the_base_was_read(
    code: Path, capctl: Callable[..., tuple[int, dict[str, Any]]]
) -> None:
    assert capctl("image", "push")[0] == 0
    assert capctl("image", "verify")[0] == 0
    (code / "pkg" / "part.py").unlink()
    (code / "other.py").write_text("import torch\n")
    (code / "pkg" / "__init__.py").touch()
    exit_code, document = capctl("image", "push")
    assert (exit_code, document["code"]) == (1, "image-rejected")
    first, second = document["details"]
    assert "`app/job.py` (line 2) imports `pkg.part`" in first
    assert "`app/other.py` (line 1) imports `torch`" in second
