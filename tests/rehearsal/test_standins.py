"""What stands in for Packer, containers and the registry: each keeps the rules of the real part."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import packer
from lifecycle.domain.boot import boot_checks, parse_boot_report
from lifecycle.domain.models import ModelFile, model_set
from lifecycle.rehearsal import leftovers
from lifecycle.rehearsal.child import free_port
from lifecycle.rehearsal.emulator.launch import Emulator, EmulatorOptions
from lifecycle.rehearsal.services.registry import RunningRegistry, standin_registry
from lifecycle.rehearsal.standins.packer import write_packer
from packer.boot import BootVariables
from packer.manifest import read_manifest
from packer.variables import ModelDownload, write_model_list
from tests.fakes.packer import bake_variables
from tests.rehearsal.emulator_parts import Batch, push
from tests.rehearsal.stage_parts import REGION, Aws, until

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(280)]
WHY = "the test has no engine"
JOB = "import sys\nexec(sys.argv[1])\n"
CONTENT = b"weights" * 50_000


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningRegistry, Emulator]]:
    home, rehearsal, port = tmp_path_factory.mktemp("stage"), f"test-{uuid.uuid4().hex[:8]}", free_port()
    events = f"http://127.0.0.1:{port}/_capctl/registry-events"
    with standin_registry(home / "registry", rehearsal, events_url=events) as registry:
        options = EmulatorOptions(
            state=home / "state", rehearsal=rehearsal, port=port, registry=registry.address, no_engine=WHY
        )
        with Emulator(options) as emulator:
            yield registry, emulator
    assert leftovers.find(rehearsal, home) == []


@pytest.fixture(scope="module")
def aws(stage: tuple[RunningRegistry, Emulator]) -> Aws:
    return Aws(stage[1].endpoint)


# --- Packer -----------------------------------------------------------------------------------------------------------


class Bake:
    """One call of the stand-in, with the files that capctl would give to Packer."""

    def __init__(self, aws: Aws, emulator: Emulator, folder: Path, *, url: str = "", endpoint: str = "") -> None:
        self.aws, self.folder, self.emulator = aws, folder, emulator
        self.name = f"bake-{uuid.uuid4().hex[:8]}"
        bucket = f"b-{uuid.uuid4().hex[:8]}"
        aws.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        aws.s3.put_object(Bucket=bucket, Key="weights", Body=CONTENT)
        self.bucket = bucket
        signed = aws.s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "weights"})
        sha256 = hashlib.sha256(CONTENT).hexdigest()
        file = ModelFile(path="models/weights.bin", bytes=len(CONTENT), sha256=sha256)
        self.models = model_set((file,))
        download = ModelDownload(path=file.path, bytes=file.bytes, sha256=sha256, mode=file.mode, url=url or signed)
        write_model_list([download], folder / "models.tsv")
        (folder / "model-set.json").write_bytes(self.models.marker())
        variables = replace(
            bake_variables(folder),
            region=REGION,
            base_ami=str(emulator.facts["base_ami"]),
            ami_name=self.name,
            tags={"capctl:run": self.name},
            poll_attempts=10,
            custom_endpoint=endpoint or emulator.endpoint,
        )
        variables.write(folder / "bake.pkrvars.json")
        write_packer(folder / "bin")

    def start(self) -> subprocess.Popen[str]:
        call = ["build", "-machine-readable", f"-var-file={self.folder / 'bake.pkrvars.json'}", str(packer.TEMPLATE)]
        environment = {**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        program = str(self.folder / "bin" / "packer")
        return subprocess.Popen(
            [program, *call], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self) -> tuple[int, str]:
        process = self.start()
        out, _ = process.communicate(timeout=60)
        return process.returncode, out

    def alive(self) -> list[str]:
        mine = [
            {"Name": "tag:capctl:run", "Values": [self.name]},
            {"Name": "instance-state-name", "Values": ["running"]},
        ]
        reservations = self.aws.ec2.describe_instances(Filters=mine)["Reservations"]
        return [instance["InstanceId"] for one in reservations for instance in one["Instances"]]

    def amis(self) -> list[dict[str, Any]]:
        return list(self.aws.ec2.describe_images(Filters=[{"Name": "name", "Values": [self.name]}])["Images"])


@pytest.fixture
def bake(aws: Aws, stage: tuple[RunningRegistry, Emulator], tmp_path: Path) -> Bake:
    return Bake(aws, stage[1], tmp_path)


def test_bake_without_packer_makes_an_ami_with_the_models_tags_evidence_and_manifest(bake: Bake) -> None:
    status, out = bake.run()
    assert status == 0, out
    (ami,) = bake.amis()
    assert read_manifest(bake.folder / "manifest.json").amis == {REGION: ami["ImageId"]}
    assert {"Key": "capctl:run", "Value": bake.name} in ami["Tags"]
    root = bake.emulator.options.state / "amis" / ami["ImageId"] / "root" / "opt" / "dl-models"
    assert (root / "models" / "weights.bin").read_bytes() == CONTENT
    assert (root / "models" / "weights.bin").stat().st_mode & 0o777 == 0o444
    assert (root / "models" / ".model-set.json").read_bytes() == bake.models.marker()
    evidence = json.loads((bake.folder / "evidence.json").read_text())
    assert [file["path"] for file in evidence["files"]] == ["models/weights.bin"]
    assert [file["path"] for file in evidence["markers"]] == [".model-set.json", "models/.model-set.json"]
    assert bake.alive() == []


def test_boot_without_machines_reports_the_disk_and_says_that_it_is_simulated(bake: Bake, aws: Aws) -> None:
    assert bake.run()[0] == 0
    (ami,) = bake.amis()
    report = {"Bucket": bake.bucket, "Key": "report.json"}
    address = aws.s3.generate_presigned_url("put_object", Params=report)
    variables = BootVariables(check_url="", model_list_url="", model_marker_url="", report_url=address, limit_s=60)
    started = aws.ec2.run_instances(
        ImageId=ami["ImageId"],
        MinCount=1,
        MaxCount=1,
        UserData=variables.user_data(),
        InstanceInitiatedShutdownBehavior="terminate",
    )
    instance = {"InstanceIds": [started["Instances"][0]["InstanceId"]]}

    def is_over() -> bool:
        (found,) = aws.ec2.describe_instances(**instance)["Reservations"][0]["Instances"]
        return bool(found["State"]["Name"] == "terminated")

    until(is_over)
    told = parse_boot_report(aws.s3.get_object(**report)["Body"].read())
    assert told.simulated == bake.emulator.facts["no_machines"]
    assert all(check.ok and "simulated" in check.found for check in boot_checks(told, bake.models))
    other = model_set((replace(bake.models.files[0], mode="0644"),))
    assert [check.ok for check in boot_checks(told, other)] == [False, True]


def test_bake_without_packer_refuses_a_model_that_differs_and_leaves_nothing(bake: Bake) -> None:
    bake.aws.s3.put_object(Bucket=bake.bucket, Key="weights", Body=CONTENT.replace(b"w", b"W", 1))
    status, out = bake.run()
    assert status == 1
    assert "capctl-bake: payload-mismatch: models/weights.bin: sha256 " in out
    assert (bake.alive(), bake.amis()) == ([], [])


def test_bake_without_packer_refuses_a_name_that_is_taken(bake: Bake) -> None:
    assert bake.run()[0] == 0
    status, out = bake.run()
    assert status == 1
    assert "is used by an existing AMI" in out


def test_bake_without_packer_that_is_cancelled_leaves_nothing(
    aws: Aws, stage: tuple[RunningRegistry, Emulator], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        bake = Bake(aws, stage[1], tmp_path, url=f"http://127.0.0.1:{silent.getsockname()[1]}/weights")
        process = bake.start()
        silent.accept()[0].detach()  # the download has begun, and never gets an answer
        assert len(bake.alive()) == 1
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Cleanly cancelled" in out
    assert (bake.alive(), bake.amis()) == ([], [])


def test_stand_in_for_packer_never_bakes_on_aws(
    aws: Aws, stage: tuple[RunningRegistry, Emulator], tmp_path: Path
) -> None:
    status, out = Bake(aws, stage[1], tmp_path, endpoint="https://ec2.us-west-2.amazonaws.com").run()
    assert status == 1
    assert "on the emulator only" in out


# --- jobs -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def image(stage: tuple[RunningRegistry, Emulator]) -> str:
    digest = push(stage[0], "team/job", "", code_layer({"app/job/__main__.py": JOB}))
    return f"123456789012.dkr.ecr.{REGION}.amazonaws.com/team/job@{digest}"


@pytest.fixture(scope="module")
def batch(
    aws: Aws, stage: tuple[RunningRegistry, Emulator], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Batch]:
    baked = Bake(aws, stage[1], tmp_path_factory.mktemp("bake"))
    assert baked.run()[0] == 0
    opened = Batch(aws, baked.amis()[0]["ImageId"], name="standin").open_queue()
    yield opened
    opened.close()


def code_layer(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), 0o644
            tar.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(out.getvalue())


def properties(image: str, script: str, **environment: str) -> dict[str, Any]:
    return {
        "image": image,
        "command": ["python3", "-m", "job", script],
        "environment": [{"name": name, "value": value} for name, value in environment.items()],
        "volumes": [{"name": "models", "host": {"sourcePath": "/opt/dl-models/models"}}],
        "mountPoints": [{"sourceVolume": "models", "containerPath": "/workspace/models", "readOnly": True}],
    }


def test_job_without_an_engine_runs_the_code_of_its_image_on_the_models_of_its_host(batch: Batch, image: str) -> None:
    script = (
        "import os, pathlib\n"
        "root = pathlib.Path(os.environ['MODEL_ROOT'])\n"
        "print((root / 'models/weights.bin').stat().st_size, os.environ['GREETING'], os.getuid() != 0)\n"
        "print(pathlib.Path(os.environ['AGE_MODEL_PATH']).exists(), os.environ['AWS_BATCH_JQ_NAME'])\n"
        "try: (root / 'models/new').touch()\n"
        "except PermissionError: print('read-only')\n"
    )
    given = {"GREETING": "hello", "AGE_MODEL_PATH": "/workspace/models/weights.bin"}
    job = batch.run("", **properties(image, script, **given))
    log = batch.log(job)
    assert WHY in log[0]
    assert log[1:] == [f"{len(CONTENT)} hello True", "True standin", "read-only"]
    assert (job["status"], job["container"]["exitCode"]) == ("SUCCEEDED", 0)


def test_job_without_an_engine_ends_with_its_code(batch: Batch, image: str) -> None:
    job = batch.run("", **properties(image, "sys.exit(65)"))
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 65)
    killed = batch.run("", **properties(image, "import os; os.kill(os.getpid(), 9)"))
    assert killed["container"]["exitCode"] == 137


def test_job_without_an_engine_gets_sigterm_and_takes_its_children_along(
    batch: Batch, image: str, stage: tuple[RunningRegistry, Emulator]
) -> None:
    script = (
        "import signal, subprocess, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))\n"
        "subprocess.Popen(['sleep', '300'], start_new_session=False)\n"
        "print('up', flush=True)\n"
        "signal.pause()\n"
    )
    job_id = batch.submit(batch.define("", **properties(image, script)))
    until(lambda: "logStreamName" in batch.job(job_id)["container"] and "up" in batch.log(batch.job(job_id)))
    batch.aws.batch.terminate_job(jobId=job_id, reason="enough")
    job = batch.wait(job_id)
    assert (job["container"]["exitCode"], job["statusReason"]) == (75, "enough")
    rehearsal = stage[1].options.rehearsal
    until(lambda: not [one for one in leftovers.find(rehearsal) if one.detail == "sleep 300"])


def test_job_without_an_engine_is_ended_by_its_timeout(batch: Batch, image: str) -> None:
    job_id = batch.submit(batch.define("", timeout_s=1, **properties(image, "import signal; signal.pause()")))
    job = batch.wait(job_id)
    assert (job["status"], job["statusReason"]) == ("FAILED", "Job attempt duration exceeded timeout")
