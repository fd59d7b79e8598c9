"""The project that a rehearsal ships: the analyzer's code in a git repository, its models, and a capctl.yaml."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lifecycle.domain.layout import Folder
from lifecycle.errors import CapctlError
from lifecycle.rehearsal.samples import make_model_set, package_folder

PROJECT = "vision"
TARGET = "rehearsal"
ACCOUNT = "123456789012"
REGION = "ap-northeast-2"
BUCKET = f"{PROJECT}-capctl-{ACCOUNT}-{REGION}"
# What the analyzer's HTTP door imports and its job does without; the base holds what jobs need.
SERVER_MODULES = ("fastapi", "pydantic", "starlette", "uvicorn")
SMOKE_VIDEO = f"s3://{BUCKET}/{Folder.SAMPLES}/portrait.mp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the stage answers."""

    endpoint_url: str
    registry_url: str
    ssh_port: int
    database_url: str
    subnet_ids: tuple[str, ...]
    security_group_ids: tuple[str, ...]


class Project:
    """A folder with everything a team's repository would hold."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self, addresses: Addresses, *, state: Path) -> None:
        """Write code, models and configuration, and commit the code."""
        self.folder.mkdir(parents=True)
        _copy_package("analyzer", self.folder / "analyzer")
        shutil.copyfile(requirements(), self.folder / "requirements.lock")
        make_model_set(self.folder / "models")
        (self.folder / ".gitignore").write_text("/models/\n/.capctl/\n__pycache__/\n")
        self._write_configuration(addresses, state)
        self._git("init", "--quiet")
        self.commit("Analyzer, as it ships")

    @property
    def configuration(self) -> Path:
        """The capctl.yaml."""
        return self.folder / "capctl.yaml"

    def add_model(self, path: str, data: bytes) -> None:
        """Add a file to the models, which git does not track."""
        (self.folder / "models" / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / "models" / path).write_bytes(data)

    def configure(self, section: str, name: str, value: object) -> None:
        """Set a key of a section of the target in the configuration."""
        document = yaml.safe_load(self.configuration.read_text())
        document["targets"][TARGET].setdefault(section, {})[name] = value
        self.configuration.write_text(yaml.safe_dump(document, sort_keys=False))

    def append(self, path: str, text: str, *, message: str) -> None:
        """Add a line to a file and commit."""
        with (self.folder / path).open("a") as file:
            file.write(text)
        self.commit(message)

    def add(self, path: str, data: bytes, *, message: str) -> None:
        """Write a file of the code and commit."""
        (self.folder / path).write_bytes(data)
        self.commit(message)

    def commit(self, message: str) -> None:
        """Commit everything that git does not ignore."""
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", message)

    def revert(self, commits: int) -> None:
        """Take the last commits back, each by a commit of its own."""
        self._git("revert", "--no-edit", f"HEAD~{commits}..HEAD")

    def _git(self, *arguments: str) -> None:
        # The machine's own git configuration (hooks, signing, a missing name) must not reach into the rehearsal.
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "capctl", "GIT_AUTHOR_EMAIL": "capctl@localhost",
            "GIT_COMMITTER_NAME": "capctl", "GIT_COMMITTER_EMAIL": "capctl@localhost",
        }  # fmt: skip
        subprocess.run(["git", *arguments], cwd=self.folder, env=environment, check=True, capture_output=True)

    def _write_configuration(self, addresses: Addresses, state: Path) -> None:
        target: dict[str, Any] = {
            "account": ACCOUNT,
            "region": REGION,
            "endpoint_url": addresses.endpoint_url,
            "registry_url": addresses.registry_url,
            "ami": {"ssh_interface": "private_ip", "ssh_port": addresses.ssh_port, "timeout_s": 300},
            "release": {
                "subnet_ids": list(addresses.subnet_ids),
                "security_group_ids": list(addresses.security_group_ids),
                "gpus": 0,
                "vcpus": 1,
                "memory_mib": 1500,
                "timeout_s": 120,
                "environment": {"DATABASE_URL": addresses.database_url},
            },
            "smoke": {"video_url": SMOKE_VIDEO, "timeout_s": 120, "database_url": addresses.database_url},
            "watch": {"duration_s": 1},
            "stack": {"state": state.as_uri()},
        }
        image = {
            "include": ["analyzer/**"],
            "base": {"requirements": "requirements.lock"},
            "rules": {"provided_modules": list(SERVER_MODULES)},
        }
        defaults = {"image": image}
        document = {
            "schema": "capctl.config/1",
            "project": PROJECT,
            "default_target": TARGET,
            "defaults": defaults,
            "targets": {TARGET: target},
        }
        self.configuration.write_text(yaml.safe_dump(document, sort_keys=False))


def _copy_package(name: str, target: Path) -> None:
    shutil.copytree(package_folder(name), target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))


def requirements() -> Path:
    """The analyzer's locked requirements; they lie beside the packages in a checkout."""
    path = Path(__file__).resolve().parents[2] / "requirements" / "analyzer.lock"
    if not path.exists():
        raise CapctlError(
            "checkout-missing",
            f"The analyzer's locked requirements are not at `{path}`",
            hint="Run the rehearsal from a checkout of capctl",
        )
    return path
