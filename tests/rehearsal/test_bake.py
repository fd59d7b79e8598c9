"""The AMI half of a release for real: Packer, an instance that is a machine, the command line, faults and signals."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import packer
from packer.variables import ModelDownload, write_model_list
from tests.fakes.packer import bake_variables
from tests.rehearsal.bake_stage import BUCKET, CONTENTS, Stage, bake_stage
from tests.rehearsal.stage_parts import REGION, ssh, until

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with bake_stage(tmp_path_factory.mktemp("state"), tmp_path_factory.mktemp("bake") / "project") as stage:
        yield stage


@pytest.fixture(scope="module")
def ami(stage: Stage) -> dict[str, Any]:
    """The AMI of the locked set, baked once for the tests that only look at it."""
    return stage.answer("ami", "bake")


def test_bake_gives_a_verified_ami_and_leaves_nothing_else(stage: Stage, ami: dict[str, Any]) -> None:
    assert (ami["schema"], ami["status"], ami["changed"], ami["imds_v2"]) == (
        "capctl.ami-bake/1",
        "verified",
        True,
        True,
    )
    assert stage.left() == []


def test_machine_of_the_ami_holds_exactly_the_set(stage: Stage, ami: dict[str, Any], tmp_path: Path) -> None:
    pair = stage.aws.ec2.create_key_pair(KeyName="look")
    key = tmp_path / "key"
    key.write_text(pair["KeyMaterial"])
    key.chmod(0o600)
    started = stage.aws.ec2.run_instances(
        ImageId=ami["id"], MinCount=1, MaxCount=1, InstanceType="m6i.large", KeyName="look"
    )["Instances"][0]
    try:
        look = (
            "cd /opt/dl-models && find . -printf '%y %m %U:%G %P\\n'; find . -type f -exec sha256sum {} +; ls -A /tmp"
        )
        said = ssh(key, started["PrivateIpAddress"], stage.emulator.facts["ssh_port"], look).splitlines()
    finally:
        stage.aws.ec2.terminate_instances(InstanceIds=[started["InstanceId"]])
        stage.aws.ec2.delete_key_pair(KeyName="look")
    listed = {line for line in said if line[:2] in ("d ", "f ")}
    markers = {f"{folder}.model-set.json" for folder in ("", "models/", "checkpoints/", "experiments/")}
    files = {f"f 444 0:0 {path}" for path in set(CONTENTS) | markers}
    folders = {"", "models", "checkpoints", "checkpoints/llava stage2", "experiments", "experiments/coco"}
    assert listed == files | {f"d 755 0:0 {path}" for path in folders}
    for path, data in CONTENTS.items():
        assert f"{hashlib.sha256(data).hexdigest()}  ./{path}" in said
    assert not [line for line in said if "capctl" in line]


def test_unchanged_bake_starts_no_instance_and_says_why(stage: Stage, ami: dict[str, Any]) -> None:
    before = len(stage.aws.ec2.describe_instances()["Reservations"])
    done = stage.run("ami", "bake")
    assert (done.returncode, done.stdout.strip()) == (0, ami["id"])
    assert "is verified and has bake digest" in done.stderr
    assert len(stage.aws.ec2.describe_instances()["Reservations"]) == before


def test_dry_run_of_another_set_shows_the_steps_and_changes_nothing(stage: Stage, ami: dict[str, Any]) -> None:
    lock = stage.folder / "models.lock.yaml"
    text = lock.read_text()
    (stage.folder / "models/models/third.onnx").write_bytes(b"third")
    try:
        stage.answer("models", "lock")
        stage.answer("models", "push")
        plan = stage.answer("ami", "bake", "--dry-run")
    finally:
        (stage.folder / "models/models/third.onnx").unlink()
        lock.write_text(text)
    assert plan["schema"] == "capctl.plan/1"
    assert plan["steps"][0]["step"].startswith(f"bake {ami['base_ami']} + model set ")
    assert list(stage.amis()) == [ami["id"]]


def test_verify_ls_and_show_agree(stage: Stage, ami: dict[str, Any]) -> None:
    verified = stage.answer("ami", "verify", ami["id"])
    assert (verified["ok"], {check["ok"] for check in verified["checks"]}) == (True, {True})
    assert verified["not_checked"]
    shown = stage.answer("ami", "show", ami["id"])
    assert stage.answer("ami", "ls")["amis"] == [{key: value for key, value in shown.items() if key != "schema"}]


def test_copy_is_verified_by_the_report_of_its_source(stage: Stage, ami: dict[str, Any]) -> None:
    copy = stage.aws.ec2.copy_image(
        SourceImageId=ami["id"], SourceRegion=REGION, Name=f"{ami['name']}-copy", CopyImageTags=True
    )["ImageId"]
    try:
        stage.aws.ec2.modify_image_attribute(ImageId=copy, ImdsSupport={"Value": "v2.0"})
        verified = stage.answer("ami", "verify", copy)
    finally:
        stage.aws.ec2.deregister_image(ImageId=copy)
    assert verified["ok"]


def test_verify_of_the_base_ami_fails_and_names_the_checks(stage: Stage, ami: dict[str, Any]) -> None:
    done = stage.run("ami", "verify", ami["base_ami"])
    assert done.returncode == 1
    assert "error[ami-not-verified]" in done.stderr
    assert "Traceback" not in done.stderr


def test_log_of_the_bake_is_kept_without_urls(stage: Stage, ami: dict[str, Any]) -> None:
    log = (stage.folder / ".capctl/logs" / f"bake-{ami['run']}.log").read_text()
    assert "installed models/age-v1.onnx (300000 bytes)" in log
    assert "X-Amz-" not in log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", ["Launching", "Waiting for SSH", "Provisioning with validate", "Creating AMI"])
def test_signal_in_the_middle_leaves_nothing_and_the_next_run_finishes(
    stage: Stage, ami: dict[str, Any], number: signal.Signals, moment: str
) -> None:
    before = stage.amis()
    with subprocess.Popen(
        stage.command("ami", "bake", "--force"), cwd=stage.folder, env=stage.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith(moment):
                process.send_signal(number)
        process.wait(timeout=60)
    assert process.returncode == 130, "".join(said)
    assert (stage.amis(), stage.left()) == (before, [])
    assert stage.answer("ami", "bake")["id"] == ami["id"]


def test_kill_in_the_middle_is_cleaned_up_by_packer_itself(stage: Stage, ami: dict[str, Any]) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("`setpriv` is not installed")
    before = stage.amis()
    with subprocess.Popen(
        stage.command("ami", "bake", "--force"), cwd=stage.folder, env=stage.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("Provisioning"):
                process.kill()
    until(lambda: stage.left() == [])
    assert stage.amis() == before


def test_plain_packer_build_works_without_capctl(stage: Stage, tmp_path: Path) -> None:
    data = CONTENTS["models/age-v1.onnx"]
    sha256 = hashlib.sha256(data).hexdigest()
    url = stage.aws.s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": f"models/{sha256}"})
    model = ModelDownload(path="models/age-v1.onnx", bytes=len(data), sha256=sha256, mode="0444", url=url)
    write_model_list([model], tmp_path / "models.tsv")
    (tmp_path / "model-set.json").write_text("{}\n")
    variables = replace(
        bake_variables(tmp_path),
        region=REGION,
        base_ami=stage.emulator.facts["base_ami"],
        ami_name="by-hand",
        ssh_port=stage.emulator.facts["ssh_port"],
        poll_attempts=10,
        custom_endpoint=stage.emulator.endpoint,
    )
    variables.write(tmp_path / "bake.pkrvars.json")
    command = ["packer", "build", f"-var-file={tmp_path / 'bake.pkrvars.json'}", str(packer.TEMPLATE)]
    done = subprocess.run(command, env=stage.environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    try:
        assert done.returncode == 0, done.stdout
        evidence = json.loads((tmp_path / "evidence.json").read_text())
        assert [file["sha256"] for file in evidence["files"]] == [sha256]
        assert url.partition("?")[2] not in done.stdout
    finally:
        images = stage.aws.ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": ["by-hand"]}])
        for image in images["Images"]:
            stage.aws.ec2.deregister_image(ImageId=image["ImageId"])


def test_unproven_ami_without_a_report_is_replaced(stage: Stage, ami: dict[str, Any]) -> None:
    stage.aws.ec2.create_tags(Resources=[ami["id"]], Tags=[{"Key": "capctl:status", "Value": "candidate"}])
    resumed = stage.answer("ami", "bake")
    assert (resumed["id"], resumed["status"]) == (ami["id"], "verified")
    stage.aws.ec2.create_tags(Resources=[ami["id"]], Tags=[{"Key": "capctl:status", "Value": "candidate"}])
    for stored in stage.aws.s3.list_objects_v2(Bucket=BUCKET, Prefix="evidence/")["Contents"]:
        stage.aws.s3.delete_object(Bucket=BUCKET, Key=stored["Key"])
    stage.passphrase = ""
    refused = stage.run("ami", "bake")
    stage.passphrase = "rehearsal"
    assert "passphrase-missing" in refused.stderr
    assert f"`{ami['id']}` is replaced only if no release has it" in refused.stderr
    assert stage.amis() == {ami["id"]: "candidate"}
    replaced = stage.answer("ami", "bake")
    assert replaced["id"] != ami["id"]
    assert stage.amis() == {replaced["id"]: "verified"}
