"""What every `ports.Baker` does; the real one with Packer on a machine, and with what stands in for Packer."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lifecycle.adapters.aws.amis import Ec2Amis
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.clock import SystemClock
from lifecycle.adapters.packer_cli import PackerBaker
from lifecycle.domain.ami import AmiId
from lifecycle.domain.digest import parse_digest
from lifecycle.domain.evidence import differences, parse_evidence
from lifecycle.domain.models import ModelFile, model_set
from lifecycle.domain.place import Place
from lifecycle.errors import CapctlError, ExitCode, UsageError
from lifecycle.ports.amis import Amis
from lifecycle.ports.baker import AmiNameTaken, Baker, BakeRequest
from lifecycle.rehearsal.emulator.launch import Emulator
from lifecycle.rehearsal.standins.packer import write_packer
from tests.fakes.amis import BASE_AMI, FakeAmis
from tests.fakes.baker import FakeBaker
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi
from tests.rehearsal.stage_parts import REGION, Aws, emulated_credentials, emulated_machines

REAL = [pytest.param(name, marks=pytest.mark.rehearsal) for name in ("packer", "stand-in")]
CONTENTS = {"models/age-v1.onnx": b"age" * 1000, "checkpoints/llava stage2/weights.bin": b"weights" * 1000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bakery:
    """A baker, the AMIs of its account, and a base; `left` is what bakes must never leave.

    `download` makes a URL that gives some bytes, `lose_program` takes Packer off this machine.
    """

    baker: Baker
    amis: Amis
    base: AmiId
    download: Callable[[bytes], str]
    left: Callable[[], list[str]]
    lose_program: Callable[[], None]

    def request(self, contents: dict[str, bytes] = CONTENTS) -> BakeRequest:
        """For a name and a run of its own."""
        files = [
            ModelFile(path=path, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
            for path, data in contents.items()
        ]
        run_id = uuid.uuid4().hex[:12]
        return BakeRequest(
            ami_name=f"models-{run_id}",
            base=self.amis.get(self.base),
            models=model_set(tuple(files)),
            downloads={path: self.download(data) for path, data in contents.items()},
            tags={"capctl:run": run_id, "capctl:project": "vision"},
            run_id=run_id,
            place=Place(instance_type="m6i.large"),
        )


@pytest.fixture(params=["fake", *REAL])
def bakery(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bakery]:
    if request.param == "fake":
        yield _in_memory()
    else:
        yield from _real(request.param, request, tmp_path, monkeypatch)


@pytest.fixture(params=REAL)
def real_bakery(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bakery]:
    yield from _real(request.param, request, tmp_path, monkeypatch)


def _in_memory() -> Bakery:
    amis = FakeAmis()
    baker = FakeBaker(amis)
    return Bakery(
        baker=baker,
        amis=amis,
        base=BASE_AMI,
        download=lambda data: f"https://s3.example/{hashlib.sha256(data).hexdigest()}",
        left=list,
        lose_program=lambda: setattr(baker, "lacks", UsageError("packer-missing", "Packer is not installed")),
    )


def _real(
    program: str, request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bakery]:
    emulator: Emulator = request.getfixturevalue("machines" if program == "packer" else "emulator")
    if program == "stand-in":
        write_packer(folder / "bin")
        monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    here = {"ssh_interface": "private_ip", "ssh_port": emulator.facts.get("ssh_port") or 22, "timeout_s": 60}
    target = make_target(folder, endpoint_url=emulator.endpoint, ami=here)
    aws, bucket = Aws(emulator.endpoint), f"b-{uuid.uuid4().hex[:8]}"
    aws.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})

    def download(data: bytes) -> str:
        key = hashlib.sha256(data).hexdigest()
        aws.s3.put_object(Bucket=bucket, Key=key, Body=data)
        return str(aws.s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key}))

    # Other suites that run against the same emulator keep what they made.
    before = _left(aws)
    with emulated_credentials():
        session = AwsSession(target)
        yield Bakery(
            baker=PackerBaker(target, session, SystemClock(), FakeUi()),
            amis=Ec2Amis(session),
            base=AmiId(emulator.facts["base_ami"]),
            download=download,
            left=lambda: [one for one in _left(aws) if one not in before],
            lose_program=lambda: monkeypatch.setenv("PATH", str(folder)),
        )


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulated_machines(tmp_path_factory.mktemp("machines")) as emulator:
        yield emulator


def _left(aws: Aws) -> list[str]:
    """Instances of a bake, volumes of none, and Packer's own key pairs and security groups."""
    ec2 = aws.ec2
    alive = {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}
    baked = {"Name": "tag-key", "Values": ["capctl:run"]}
    found = [
        instance["InstanceId"]
        for reservation in ec2.describe_instances(Filters=[alive, baked])["Reservations"]
        for instance in reservation["Instances"]
    ]
    loose = [{"Name": "status", "Values": ["available"]}]
    found += [volume["VolumeId"] for volume in ec2.describe_volumes(Filters=loose)["Volumes"]]
    found += [pair["KeyName"] for pair in ec2.describe_key_pairs()["KeyPairs"]]
    groups = ec2.describe_security_groups()["SecurityGroups"]
    return found + [group["GroupName"] for group in groups if group["GroupName"].startswith("packer_")]


def failure(bakery: Bakery, request: BakeRequest, accept: Callable[[dict[str, Any]], None]) -> CapctlError:
    """The error of a bake that fails, after what holds for every one: it leaves nothing."""
    with pytest.raises(CapctlError) as failed:
        bakery.baker.bake(request, accept)
    assert bakery.left() == []
    return failed.value


def never(document: dict[str, Any]) -> None:
    raise AssertionError(f"no instance reports anything here, and one did: {document}")


def test_recipe_is_a_digest_and_the_same_whenever_it_is_asked_for(bakery: Bakery) -> None:
    recipe = bakery.baker.recipe()
    assert parse_digest(recipe) == recipe == bakery.baker.recipe()


def test_bake_returns_an_available_ami_with_its_name_and_tags_and_leaves_nothing_else(bakery: Bakery) -> None:
    request = bakery.request()
    ami = bakery.amis.get(bakery.baker.bake(request, lambda _: None))
    assert (ami.name, ami.state, len(ami.snapshot_ids)) == (request.ami_name, "available", 1)
    assert ami.tags == request.tags
    assert bakery.amis.by_name(request.ami_name) == ami
    assert bakery.left() == []


def test_instance_reports_the_set_once(bakery: Bakery) -> None:
    request, reports = bakery.request(), list[dict[str, Any]]()
    ami_id = bakery.baker.bake(request, reports.append)
    (document,) = reports
    assert set(document) == {"schema", "instance_id", "root", "files", "markers", "marker"}
    evidence = parse_evidence(document)
    assert differences(evidence, request.models) == ()
    assert bakery.amis.source_instance(bakery.amis.get(ami_id)) == evidence.instance_id


def test_report_that_is_not_accepted_ends_the_bake_with_that_error_and_without_an_ami(bakery: Bakery) -> None:
    request, refusal = bakery.request(), CapctlError("payload-mismatch", "not the set")

    def refuse(_: dict[str, Any]) -> None:
        raise refusal

    assert failure(bakery, request, refuse) is refusal
    assert bakery.amis.by_name(request.ami_name) is None


def test_taken_name_ends_the_bake_before_an_instance_reports_and_leaves_the_ami_alone(bakery: Bakery) -> None:
    first = bakery.request()
    ami_id = bakery.baker.bake(first, lambda _: None)
    before = bakery.amis.get(ami_id)
    error = failure(bakery, replace(bakery.request(), ami_name=first.ami_name), never)
    assert isinstance(error, AmiNameTaken)
    assert error.code == "ami-name-taken"
    assert bakery.amis.get(ami_id) == before


def test_missing_program_is_a_usage_error_before_anything_is_made(bakery: Bakery) -> None:
    request = bakery.request()
    bakery.baker.require_programs()
    bakery.lose_program()
    with pytest.raises(UsageError) as failed:
        bakery.baker.require_programs()
    error = failure(bakery, request, never)
    assert error.code == failed.value.code == "packer-missing"
    assert error.exit_code == ExitCode.USAGE
    assert bakery.amis.by_name(request.ami_name) is None


def test_file_that_differs_from_the_set_fails_on_the_instance_and_is_named(real_bakery: Bakery) -> None:
    request = real_bakery.request()
    path = "models/age-v1.onnx"
    downloads = {**request.downloads, path: real_bakery.download(CONTENTS[path].upper())}
    error = failure(real_bakery, replace(request, downloads=downloads), never)
    assert error.code == "payload-mismatch"
    assert f"`{path}` is not what the lock says: sha256" in error.message
    assert real_bakery.amis.by_name(request.ami_name) is None


def test_file_that_cannot_be_downloaded_is_named(real_bakery: Bakery) -> None:
    request = real_bakery.request()
    path = "models/age-v1.onnx"
    gone = request.downloads[path].replace("?", "-gone?", 1)
    error = failure(real_bakery, replace(request, downloads={**request.downloads, path: gone}), never)
    assert error.code == "object-missing"
    assert f"`{path}`" in error.message
    assert real_bakery.amis.by_name(request.ami_name) is None
