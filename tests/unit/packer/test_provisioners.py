"""The provisioners on folders of this machine: what is installed, what is found, how it fails."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

import packer

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="the files must belong to root, so only root can run this"),
    pytest.mark.skipif(shutil.which("curl") is None, reason="`curl` is not installed"),
]

INSTALL, CLEAN, VALIDATE = packer.PROVISIONERS
CONTENTS = {
    "models/age v1.onnx": b"age" * 1000,
    'checkpoints/llava/quoted".bin': b"weights" * 1000,
    "experiments/coco/segm.yaml": b"a: 1\n",
    # Packages may be empty, and hold folders that no model may.
    "runtime/site-packages/pack/tools/__init__.py": b"",
}


class Instance:
    """A folder in the place of the instance's disk, and the files that Packer would upload to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "opt/dl-models"
        self.remote = folder / "remote"
        self.list = folder / "models.tsv"
        self.environment: dict[str, str] = {}
        self.remote.mkdir()
        (folder / "marker.json").write_text('{"schema":"capctl.model-set/1"}\n')
        for data in CONTENTS.values():
            (self.remote / hashlib.sha256(data).hexdigest()).write_bytes(data)
        self.write_list()

    def write_list(self) -> None:
        rows = []
        for path, data in CONTENTS.items():
            sha256 = hashlib.sha256(data).hexdigest()
            rows.append(f"{sha256}\t{len(data)}\t0444\tfile://{self.remote / sha256}\t{path}\n")
        self.list.write_text("".join(rows))

    def stored(self, path: str) -> Path:
        return self.remote / hashlib.sha256(CONTENTS[path]).hexdigest()

    def run(self, script: Path, *, booted: bool = False) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "MODEL_LIST": str(self.list),
            "MODEL_MARKER": str(self.folder / "marker.json"),
            "MODEL_ROOT": str(self.root),
            "EVIDENCE": str(self.folder / "evidence.json"),
            "INSTANCE_ID": "i-0123456789abcdef0",
            "DISK": str(self.folder),
            "BOOTED": "yes" if booted else "",
            **self.environment,
        }
        return subprocess.run(["bash", str(script)], capture_output=True, text=True, check=False, env=environment)

    def leave(self, *paths: str) -> None:
        """Files on the disk that are none of the models."""
        for path in paths:
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text("left")

    def installed(self) -> Instance:
        done = self.run(INSTALL)
        assert done.returncode == 0, done.stderr
        return self


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """Serves files of this machine; in its first answer it stops half-way, and its connection stays open."""
    answers, ended = [], Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = Path(self.path).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            answers.append(self.path)
            self.wfile.write(data[: len(data) // 2] if len(answers) == 1 else data)
            if len(answers) == 1:
                ended.wait()

        def log_message(self, *_: object) -> None: ...

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=found.serve_forever)
    thread.start()
    yield found
    ended.set()
    found.shutdown()
    found.server_close()
    thread.join()


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(tmp_path)


def test_install_places_files_modes_and_markers(instance: Instance) -> None:
    instance.installed()
    found = {path.relative_to(instance.root).as_posix(): path for path in instance.root.rglob("*")}
    files = {name: path for name, path in found.items() if path.is_file()}
    markers = {
        ".model-set.json",
        "models/.model-set.json",
        "checkpoints/.model-set.json",
        "experiments/.model-set.json",
        "runtime/.model-set.json",
    }
    assert set(files) == set(CONTENTS) | markers
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o444}
    assert {stat.S_IMODE(path.stat().st_mode) for path in found.values() if path.is_dir()} == {0o755}
    assert {(path.stat().st_uid, path.stat().st_gid) for path in found.values()} == {(0, 0)}


def test_install_replaces_what_the_base_ami_had(instance: Instance) -> None:
    (instance.root / "models").mkdir(parents=True)
    (instance.root / "models/old.onnx").write_text("old")
    instance.installed()
    assert not (instance.root / "models/old.onnx").exists()


@pytest.mark.parametrize("damage", [b"age" * 999, b"AGE" * 1000])
def test_install_refuses_bytes_that_differ_from_the_list(instance: Instance, damage: bytes) -> None:
    instance.stored("models/age v1.onnx").write_bytes(damage)
    done = instance.run(INSTALL)
    assert done.returncode != 0
    assert "capctl-bake: payload-mismatch: models/age v1.onnx: " in done.stderr
    assert not instance.root.exists()


def test_install_names_the_file_that_cannot_be_downloaded(instance: Instance) -> None:
    instance.stored("models/age v1.onnx").unlink()
    done = instance.run(INSTALL)
    assert done.returncode != 0
    assert "capctl-bake: model-unreadable: models/age v1.onnx: curl ended with status" in done.stderr


def test_install_gives_up_a_download_that_stands_still_and_tries_again(
    instance: Instance, server: ThreadingHTTPServer
) -> None:
    path, *_ = CONTENTS
    rows = instance.list.read_text().splitlines(keepends=True)
    rows[0] = rows[0].replace("file://", f"http://127.0.0.1:{server.server_port}")
    instance.list.write_text("".join(rows))
    instance.environment["STALL_S"] = "1"
    assert (instance.installed().root / path).read_bytes() == CONTENTS[path]


def test_validate_reports_what_it_read(instance: Instance) -> None:
    done = instance.installed().run(VALIDATE)
    assert done.returncode == 0, done.stderr
    evidence = json.loads((instance.folder / "evidence.json").read_text())
    assert evidence["instance_id"] == "i-0123456789abcdef0"
    assert {file["path"]: (file["bytes"], file["sha256"], file["mode"]) for file in evidence["files"]} == {
        path: (len(data), hashlib.sha256(data).hexdigest(), "0444") for path, data in CONTENTS.items()
    }
    assert len(evidence["markers"]) == 5


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("printf x >> 'models/age v1.onnx'", "models/age v1.onnx: 3001 bytes"),
        ("rm 'models/age v1.onnx'", "models/age v1.onnx: missing"),
        ("printf X | dd of=experiments/coco/segm.yaml conv=notrunc", "experiments/coco/segm.yaml: sha256"),
        ("chmod 644 experiments/coco/segm.yaml", "experiments/coco/segm.yaml: mode 0644"),
        ("chmod 700 models", "models: mode 700"),
        ("chown 1000:1000 experiments/coco/segm.yaml", "experiments/coco/segm.yaml: owner 1000:1000"),
        ("touch models/extra.onnx", "models/extra.onnx: not in the model set"),
        ("mkdir src && touch src/train.py", "src/train.py: does not belong"),
        ("mkdir models/tools && touch models/tools/x", "models/tools/x: does not belong"),
        ("touch models/r.csv", "models/r.csv: does not belong"),
        ("ln -s /etc/passwd models/link", "models/link: neither a file nor a folder"),
        ("rm models/.model-set.json", "models/.model-set.json: missing"),
        ("rm .model-set.json", ".model-set.json: missing"),
        ("printf x >> .model-set.json", ".model-set.json: "),
    ],
)
def test_validate_refuses_whatever_is_not_the_set(instance: Instance, damage: str, expected: str) -> None:
    instance.installed()
    subprocess.run(["bash", "-euc", damage], cwd=instance.root, check=True, capture_output=True)
    done = instance.run(VALIDATE)
    assert done.returncode != 0
    assert f"capctl-bake: payload-mismatch: {expected}" in done.stderr.replace("./", "")
    assert not (instance.folder / "evidence.json").exists()


REMOVED = (
    "root/.ssh/authorized_keys",
    "home/ec2-user/.ssh/authorized_keys",
    "root/.bash_history",
    "home/ec2-user/.python_history",
    "etc/ssh/ssh_host_ed25519_key",
    "etc/ssh/ssh_host_ed25519_key.pub",
    "etc/machine-id",
    "var/lib/ecs/data/agent.db",
    "var/lib/cloud/instance",
    "var/lib/cloud/instances/i-0123456789abcdef0/user-data.txt",
    "var/lib/cloud/data/instance-id",
)
OF_THE_BASE = (
    "root/.aws/credentials",
    "home/ec2-user/.aws/config",
    "home/ec2-user/.netrc",
    "root/.git-credentials",
    "root/.docker/config.json",
)


@pytest.mark.parametrize("left", [*REMOVED, *OF_THE_BASE, "opt/dl-models.incoming/models/part"])
def test_validate_refuses_what_no_instance_may_inherit(instance: Instance, left: str) -> None:
    instance.installed().leave(left)
    done = instance.run(VALIDATE)
    assert done.returncode != 0
    assert f"capctl-bake: leftover: {instance.folder}/" in done.stderr
    assert not (instance.folder / "evidence.json").exists()


def test_validate_accepts_what_was_cleaned(instance: Instance) -> None:
    instance.installed().leave(
        *REMOVED, "home/ec2-user/.bashrc", "etc/ssh/sshd_config", "var/tmp/x", "var/lib/cloud/seed/x"
    )
    cleaned = instance.run(CLEAN)
    assert cleaned.returncode == 0, cleaned.stderr
    done = instance.run(VALIDATE)
    assert done.returncode == 0, done.stderr
    left = {path.relative_to(instance.folder).as_posix() for path in instance.folder.rglob("*") if path.is_file()}
    assert left.issuperset({"home/ec2-user/.bashrc", "etc/ssh/sshd_config", "var/lib/cloud/seed/x"})
    assert "var/tmp/x" not in left
    # Without the file, systemd would take the next boot for the first of a new system.
    assert (instance.folder / "etc/machine-id").read_text() == ""


def test_validate_finds_a_link_that_leads_nowhere(instance: Instance) -> None:
    (instance.installed().folder / "var/lib/cloud").mkdir(parents=True)
    (instance.folder / "var/lib/cloud/instance").symlink_to("/nowhere")
    assert "capctl-bake: leftover: " in instance.run(VALIDATE).stderr


def test_clean_of_a_machine_without_any_of_it_succeeds(instance: Instance) -> None:
    assert instance.run(CLEAN).returncode == 0


@pytest.mark.parametrize("home", ["root", "home/ec2-user"])
def test_validate_refuses_a_key_that_an_instance_of_the_ami_finds(instance: Instance, home: str) -> None:
    instance.installed()
    key = instance.folder / home / ".ssh/authorized_keys"
    key.parent.mkdir(parents=True)
    key.write_text("# of cloud-init\n\n")
    assert instance.run(VALIDATE, booted=True).returncode == 0, (
        "without a key pair cloud-init writes a file without a key"
    )
    key.write_text("# of cloud-init\nssh-ed25519 AAAA\n")
    assert f"capctl-bake: leftover: {key}: holds a key" in instance.run(VALIDATE, booted=True).stderr


def test_validate_lets_an_instance_of_the_ami_have_its_own_identity_but_no_credentials(instance: Instance) -> None:
    instance.installed().leave("etc/machine-id", "etc/ssh/ssh_host_ed25519_key", "var/lib/cloud/instance")
    assert instance.run(VALIDATE, booted=True).returncode == 0
    instance.leave(OF_THE_BASE[0])
    assert "capctl-bake: leftover: " in instance.run(VALIDATE, booted=True).stderr
