"""The README's way to an AMI without capctl, as it is written there."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

import packer
from tests.packers import PACKERS, packer_environment

README = Path(packer.__file__).with_name("README.md").read_text()
AWS = """#!/usr/bin/env bash
# `aws s3` with folders for buckets.
set -euo pipefail
cat # swallows what is left to it of the caller's input
from() { printf '%s' "$STORE/${1#s3://}"; }
case "$2" in
  cp) mkdir -p "$(dirname "$(from "$5")")" && cp "$4" "$(from "$5")" ;;
  presign) printf 'file://%s\\n' "$(from "$5")" ;;
esac
"""
CONTENTS = {"models/age v1.onnx": b"age", "checkpoints/llava/weights.bin": b"weights", "experiments/coco/a.yaml": b"a"}


def block(language: str, holding: str) -> str:
    """The one block of code of the README that holds some text."""
    (found,) = (text for text in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if holding in text)
    return str(found)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A folder of models after the README's commands."""
    for path, data in {**CONTENTS, "models/r.csv": b"no", "src/x.py": b"no"}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/aws").write_text(AWS)
    (tmp_path / "bin/aws").chmod(0o755)
    environment = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "BUCKET": "b",
        "STORE": str(tmp_path / "store"),
    }
    commands = block("bash", "models.tsv")
    subprocess.run(["bash", "-euo", "pipefail", "-c", commands], cwd=tmp_path, env=environment, check=True)
    return tmp_path


def test_commands_write_a_list_of_every_model_that_nobody_else_reads(written: Path) -> None:
    rows = [line.split("\t") for line in (written / "models.tsv").read_text().splitlines()]
    expected = [(hashlib.sha256(data).hexdigest(), str(len(data)), "0444", path) for path, data in CONTENTS.items()]
    assert sorted((row[0], row[1], row[2], row[4]) for row in rows) == sorted(expected)
    assert stat.S_IMODE((written / "models.tsv").stat().st_mode) == 0o600
    assert json.loads((written / "model-set.json").read_text()) == {"files": 3}


def test_commands_upload_beside_the_models_of_capctl(written: Path) -> None:
    assert [folder.name for folder in (written / "store/b").iterdir()] == ["by-hand"]


@pytest.mark.skipif(os.geteuid() != 0, reason="the files must belong to root, so only root can run this")
def test_provisioners_install_what_the_commands_list(written: Path) -> None:
    install, _, validate = packer.PROVISIONERS
    environment = {
        "PATH": os.environ["PATH"],
        "MODEL_LIST": str(written / "models.tsv"),
        "MODEL_MARKER": str(written / "model-set.json"),
        "MODEL_ROOT": str(written / "opt/dl-models"),
        "EVIDENCE": str(written / "evidence.json"),
        "DISK": str(written),
    }
    (written / "opt").mkdir()
    for script in (install, validate):
        subprocess.run(["bash", str(script)], env=environment, check=True)
    evidence = json.loads((written / "evidence.json").read_text())
    assert {file["path"] for file in evidence["files"]} == set(CONTENTS)


@pytest.mark.parametrize("name", PACKERS)
def test_packer_accepts_the_variables_that_are_shown(written: Path, name: str) -> None:
    (written / "bake.pkrvars.json").write_text(block("json", "base_ami"))
    command = ["packer", "validate", "-var-file=bake.pkrvars.json", str(packer.TEMPLATE)]
    environment = {**os.environ, **packer_environment(name)}
    done = subprocess.run(command, cwd=written, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
