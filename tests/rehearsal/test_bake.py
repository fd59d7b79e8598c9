"""The AMI half of a release for real: Packer, an instance that is a machine, the command line, faults and signals.

A later Packer has to pass what its builder does differently: a whole bake, what the machine holds, signals, a build by hand. The tests
that only look at an AMI, and those of capctl's own decisions, have one Packer.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import packer
from packer.variables import ModelDownload, write_model_list
from tests.fakes.packer import bake_variables
from tests.packers import PACKERS, packer_environment
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


@pytest.fixture
def with_packer(request: pytest.FixtureRequest, stage: Stage) -> Iterator[str]:
    """The Packer of the test's parameter, by name, in front of the stage's PATH."""
    stage.packer = packer_environment(request.param)
    yield request.param
    stage.packer = {}


@pytest.fixture
def made(stage: Stage, ami: dict[str, Any], with_packer: str) -> Iterator[dict[str, Any]]:
    """The AMI that this Packer baked; that of the later one goes after the test."""
    if with_packer == "installed":
        yield ami
        return
    other = stage.answer("ami", "bake", "--force")
    yield other
    stage.aws.ec2.deregister_image(ImageId=other["id"], DeleteAssociatedSnapshots=True)
    # Channel `candidate` names one that exists again.
    assert stage.answer("ami", "bake")["id"] == ami["id"]


@pytest.mark.parametrize("with_packer", PACKERS, indirect=True)
def test_bake_gives_a_verified_ami_and_leaves_nothing_else(stage: Stage, made: dict[str, Any]) -> None:
    assert (made["schema"], made["status"], made["changed"], made["imds_v2"]) == (
        "capctl.ami-bake/1",
        "verified",
        True,
        True,
    )
    assert stage.left() == []
    (image,) = stage.aws.ec2.describe_images(ImageIds=[made["id"]])["Images"]
    snapshots = [mapping["Ebs"]["SnapshotId"] for mapping in image["BlockDeviceMappings"]]
    (snapshot,) = stage.aws.ec2.describe_snapshots(SnapshotIds=snapshots)["Snapshots"]
    of_snapshot, of_ami = ({tag["Key"]: tag["Value"] for tag in resource["Tags"]} for resource in (snapshot, image))
    agents = {call["agent"] for call in stage.calls() if call["operation"] == "CreateImage"}
    assert all("exec-env/capctl.ami.bake" in agent for agent in agents)
    assert of_snapshot.items() >= {key: of_ami[key] for key in ("Name", "capctl:run", "capctl:bake-digest")}.items()


@pytest.mark.parametrize("with_packer", PACKERS, indirect=True)
def test_machine_of_the_ami_holds_exactly_the_set(stage: Stage, made: dict[str, Any], tmp_path: Path) -> None:
    pair = stage.aws.ec2.create_key_pair(KeyName="look")
    key = tmp_path / "key"
    key.write_text(pair["KeyMaterial"])
    key.chmod(0o600)
    started = stage.aws.ec2.run_instances(
        ImageId=made["id"], MinCount=1, MaxCount=1, InstanceType="m6i.large", KeyName="look"
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
    assert plan["details"][-1] == "added: models/third.onnx, 5 B"
    assert list(stage.amis()) == [ami["id"]]


def test_verify_ls_and_show_agree(stage: Stage, ami: dict[str, Any]) -> None:
    verified = stage.answer("ami", "verify", ami["id"])
    assert (verified["ok"], {check["ok"] for check in verified["checks"]}) == (True, {True})
    assert verified["not_checked"]
    shown = stage.answer("ami", "show", ami["id"])
    assert shown["made_by"]
    assert {file["path"]: file["bytes"] for file in shown["files"]} == {
        path: len(data) for path, data in CONTENTS.items()
    }
    (listed,) = stage.answer("ami", "ls")["amis"]
    # `ami show` reads more of what may use an AMI.
    assert [use for use in shown["uses"] if use in listed["uses"]] == listed["uses"] != []
    assert listed == {**{key: shown[key] for key in listed}, "uses": listed["uses"]}
    assert stage.answer("ami", "diff", ami["id"])["equal"]


def test_copy_is_verified_by_the_report_of_its_source(stage: Stage, ami: dict[str, Any]) -> None:
    (copy,) = stage.answer("ami", "copy", ami["id"], "--to-region", "eu-west-1")["copies"]
    assert (copy["region"], copy["status"], copy["changed"], copy["error"]) == ("eu-west-1", "verified", True, None)
    assert copy["id"] != ami["id"]
    (again,) = stage.answer("ami", "copy", ami["id"], "--to-region", "eu-west-1")["copies"]
    assert again == {**copy, "changed": False}


def test_verify_of_the_base_ami_fails_and_names_the_checks(stage: Stage, ami: dict[str, Any]) -> None:
    done = stage.run("ami", "verify", ami["base_ami"])
    assert done.returncode == 1
    assert "error[ami-not-verified]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("with_packer", PACKERS, indirect=True)
def test_log_of_the_bake_is_kept_private_without_urls_and_keys(stage: Stage, made: dict[str, Any]) -> None:
    log = stage.folder / ".capctl/logs" / f"bake-{made['run']}.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    text = log.read_text()
    assert "installed models/age-v1.onnx (300000 bytes)" in text
    assert "X-Amz-" not in text
    assert "a-secret-of-many-characters" not in text


MOMENTS = ("Launching", "Waiting for SSH", "Provisioning with validate", "Creating AMI")


def running_bake(stage: Stage) -> subprocess.Popen[str]:
    """Another bake of what is baked already."""
    return subprocess.Popen(
        stage.command("ami", "bake", "--force"), cwd=stage.folder, env=stage.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("with_packer", "moment", "number"),
    [
        *(("installed", moment, number) for moment in MOMENTS for number in (signal.SIGTERM, signal.SIGINT)),
        *(("modern", moment, signal.SIGTERM) for moment in MOMENTS[2:]),
    ],
    indirect=["with_packer"],
)
@pytest.mark.usefixtures("with_packer")
def test_signal_in_the_middle_leaves_nothing_and_the_next_run_finishes(
    stage: Stage, ami: dict[str, Any], number: signal.Signals, moment: str
) -> None:
    """Nothing but the AMI, if EC2 had it before the signal came: it is proven, so a bake can finish it."""
    before = stage.amis()
    with running_bake(stage) as process:
        said, sent = [], False
        for line in process.stderr or ():
            said.append(line)
            if line.startswith(moment) and not sent:
                process.send_signal(number)
                sent = True
        process.wait(timeout=60)
    assert process.returncode == 130, "".join(said)
    after, is_late = stage.amis(), moment == "Creating AMI"
    made = after.keys() - before.keys()
    assert (after, stage.left()) == (before | dict.fromkeys(made if is_late else (), "candidate"), [])
    assert stage.answer("ami", "bake")["id"] == ami["id"]
    for unfinished in made:
        stage.aws.ec2.deregister_image(ImageId=unfinished)


def test_kill_in_the_middle_is_cleaned_up_by_packer_itself(stage: Stage, ami: dict[str, Any]) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("`setpriv` is not installed")
    before = stage.amis()
    with running_bake(stage) as process:
        for line in process.stderr or ():
            if line.startswith("Waiting for SSH"):
                process.kill()
    until(lambda: stage.left() == [])
    assert stage.amis() == before


@pytest.mark.parametrize("with_packer", PACKERS, indirect=True)
@pytest.mark.usefixtures("with_packer")
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


def test_of_two_bakes_at_once_one_adopts_the_ami_of_the_other(stage: Stage, ami: dict[str, Any]) -> None:
    lock, third = stage.folder / "models.lock.yaml", stage.folder / "models/models/third.onnx"
    text, before = lock.read_text(), stage.amis()
    third.write_bytes(b"third")
    try:
        stage.answer("models", "lock")
        stage.answer("models", "push")
        bakes = [
            subprocess.Popen(
                stage.command("-o", "json", "ami", "bake"), cwd=stage.folder, env=stage.environment,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for _ in range(2)
        ]  # fmt: skip
        ends = [bake.communicate(timeout=120) for bake in bakes]
    finally:
        third.unlink()
        lock.write_text(text)
    assert [bake.returncode for bake in bakes] == [0, 0], ends
    made = {json.loads(answer)["id"] for answer, _ in ends}
    assert len(made) == 1
    assert stage.amis() == before | dict.fromkeys(made, "verified")
    assert stage.left() == []
    assert len([said for _, said in ends if "which another run baked meanwhile" in said]) == 1
    stage.aws.ec2.deregister_image(ImageId=made.pop())


def test_unproven_ami_without_a_report_is_replaced_once_it_is_known_that_nothing_uses_it(
    stage: Stage, ami: dict[str, Any]
) -> None:
    stage.aws.ec2.create_tags(Resources=[ami["id"]], Tags=[{"Key": "capctl:status", "Value": "candidate"}])
    resumed = stage.answer("ami", "bake")
    assert (resumed["id"], resumed["status"]) == (ami["id"], "verified")
    stage.aws.ec2.create_tags(Resources=[ami["id"]], Tags=[{"Key": "capctl:status", "Value": "candidate"}])
    for stored in stage.aws.s3.list_objects_v2(Bucket=BUCKET, Prefix="evidence/")["Contents"]:
        stage.aws.s3.delete_object(Bucket=BUCKET, Key=stored["Key"])
    stage.passphrase = ""
    beside = stage.run("-o", "json", "ami", "bake")
    stage.passphrase = "rehearsal"
    assert f"`{ami['id']}` cannot be proven and stays, another is baked beside it" in beside.stderr
    other = json.loads(beside.stdout)["id"]
    assert stage.amis() == {ami["id"]: "candidate", other: "verified"}
    stage.aws.ec2.deregister_image(ImageId=other)
    replaced = stage.answer("ami", "bake")
    assert replaced["id"] not in {ami["id"], other}
    assert stage.amis() == {replaced["id"]: "verified"}
