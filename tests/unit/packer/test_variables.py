"""Variables, model list and manifest; and that template, dataclass and README agree."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from dataclasses import fields, replace
from pathlib import Path

import pytest

import packer
from packer.manifest import ManifestUnreadable, read_manifest
from packer.variables import BakeVariables, ModelDownload, write_model_list
from tests.fakes.packer import bake_variables
from tests.packers import PACKERS, packer_environment

README = Path(packer.__file__).with_name("README.md")
MODEL = ModelDownload(path="models/a b.onnx", bytes=3, sha256="aa" * 32, mode="0444", url="https://x/y?z")


def test_template_dataclass_and_readme_name_the_same_variables() -> None:
    of_template = set(re.findall(r'^variable "(\w+)"', packer.TEMPLATE.read_text(), re.MULTILINE))
    assert of_template == {field.name for field in fields(BakeVariables)}
    table = README.read_text().partition("## Variables")[2]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert of_template == {name for row in rows for name in re.findall(r"`(\w+)`", row)}


@pytest.mark.parametrize("packer_name", PACKERS)
@pytest.mark.parametrize("interface", ["private_ip", "public_ip", "session_manager"])
def test_packer_accepts_the_template(tmp_path: Path, interface: str, packer_name: str) -> None:
    wanted = replace(
        bake_variables(tmp_path),
        ssh_interface=interface,
        custom_endpoint="http://127.0.0.1:1",
        instance_profile="p",
        subnet_id="subnet-1",
        kms_key_id="alias/vision",
    )
    wanted.write(tmp_path / "bake.pkrvars.json")
    command = ["packer", "validate", f"-var-file={tmp_path / 'bake.pkrvars.json'}", str(packer.TEMPLATE)]
    environment = {**os.environ, **packer_environment(packer_name)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("packer_name", PACKERS)
def test_template_is_formatted(packer_name: str) -> None:
    environment = {**os.environ, **packer_environment(packer_name)}
    for file in (packer.TEMPLATE, packer.PLUGINS):
        command = ["packer", "fmt", "-check", str(file)]
        assert subprocess.run(command, capture_output=True, check=False, env=environment).returncode == 0


def test_absent_values_are_null_in_the_variable_file(tmp_path: Path) -> None:
    bake_variables(tmp_path).write(tmp_path / "bake.pkrvars.json")
    document = json.loads((tmp_path / "bake.pkrvars.json").read_text())
    assert document["subnet_id"] is None
    assert document["custom_endpoint"] is None


def test_model_list_is_a_private_table(tmp_path: Path) -> None:
    path = tmp_path / "models.tsv"
    write_model_list([MODEL], path)
    assert path.read_text() == f"{'aa' * 32}\t3\t0444\thttps://x/y?z\tmodels/a b.onnx\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("broken", [{"path": "models/a\tb"}, {"path": "a\nb"}, {"url": ""}])
def test_model_list_refuses_what_would_shift_its_columns(tmp_path: Path, broken: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="tab"):
        write_model_list([replace(MODEL, **broken)], tmp_path / "models.tsv")  # type: ignore[arg-type]


def test_manifest_of_the_last_run_counts(tmp_path: Path) -> None:
    builds = [
        {"packer_run_uuid": "1", "name": "models", "artifact_id": "us-west-2:ami-1"},
        {
            "packer_run_uuid": "2",
            "name": "models",
            "artifact_id": "us-west-2:ami-2,eu-west-1:ami-3",
            "custom_data": None,
        },
    ]
    (tmp_path / "m.json").write_text(json.dumps({"builds": builds, "last_run_uuid": "2"}))
    assert read_manifest(tmp_path / "m.json").amis == {"us-west-2": "ami-2", "eu-west-1": "ami-3"}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"builds": [], "last_run_uuid": "1"}', '{"builds": null, "last_run_uuid": "1"}']
)
def test_manifest_of_another_form_is_unreadable(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(ManifestUnreadable):
        read_manifest(tmp_path / "m.json")


def test_missing_manifest_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(ManifestUnreadable):
        read_manifest(tmp_path / "m.json")
