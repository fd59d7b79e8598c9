"""A runtime on the AMI, from the wheels to a job that imports it: psycopg, with its libraries, is in no image and stores the results."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from images.base.root_filesystem import python_minor, root_filesystem
from images.base.wheelhouse import wheelhouse
from lifecycle.adapters.docker_engine import DockerEngine
from lifecycle.domain.models import CONTRACT
from lifecycle.domain.tags import Tag
from tests.fakes.ui import FakeUi
from tests.rehearsal.kept_stage import KeptStage, Project
from tests.rehearsal.stage_parts import cache, until

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(600)]

# What stores results in PostgreSQL: pure Python, an extension, and libraries of its own, found from there.
PACKAGES = ("psycopg", "psycopg-binary")
MOUNT = "/opt/runtime"


@pytest.fixture(scope="module")
def ready(kept: KeptStage, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a runtime beside its models: described, locked, baked; base and code pushed."""
    folder = tmp_path_factory.mktemp("runtime")
    project = kept.copy(folder / "project", name=f"runtime-{uuid.uuid4().hex[:8]}")
    with project.changed_config() as (document, _):
        document["defaults"]["image"]["base"]["runtime_contract"] = f"models/{CONTRACT}"
    install(project.folder, cache_folder=folder)
    project.done("models", "contract")
    project.done("bootstrap")
    base = project.start("image", "base")
    video = {"Bucket": kept.project.bucket, "Key": "samples/portrait.mp4"}
    kept.client("s3").copy_object(Bucket=project.bucket, Key=video["Key"], CopySource=video)
    project.done("models", "lock")
    project.done("models", "push")
    project.done("ami", "bake")
    assert base.ended().exit_code == 0
    project.done("image", "push")
    return project


def install(project: Path, *, cache_folder: Path) -> None:
    """The packages as the lock has them, for the Python of the base."""
    lock = (project / "requirements.lock").read_text()
    entries = [re.search(rf"^{name}==.*\n(?:[ ].*\n)+", lock, re.MULTILINE) for name in PACKAGES]
    part = cache_folder / "runtime.lock"
    part.write_text("".join(entry[0] for entry in entries if entry))
    wheels = wheelhouse(part, python_minor(root_filesystem(cache())), cache_folder)
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(project / "models" / "runtime" / "site-packages")


def contract_of(project: Project) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((project.folder / "models" / CONTRACT).read_bytes())
    return document


@pytest.fixture(scope="module")
def release(ready: Project) -> dict[str, Any]:
    """The release that takes jobs, since its smoke job has stored rows in the database."""
    ready.done("deploy", "--yes")
    (active,) = (one for one in ready.done("status")["releases"] if one["role"] == "active")
    return dict(active)


def test_job_imports_what_only_the_runtime_of_its_host_has(ready: Project, release: dict[str, Any]) -> None:
    assert contract_of(ready)["packages"].keys() == {*PACKAGES}
    names = {package["name"] for package in ready.done("image", "explain")["packages"]}
    assert names
    assert not names & {*PACKAGES}


def test_ami_holds_the_runtime_that_its_tag_tells(ready: Project, release: dict[str, Any]) -> None:
    verified = ready.done("ami", "verify", release["ami"], "--boot")
    checks = {check["name"]: check for check in verified["checks"]}
    assert (verified["ok"], checks["runtime contract"]["ok"]) == (True, True)


def test_pair_that_does_not_fit_is_refused_and_the_ami_that_would_do_named(
    kept: KeptStage, ready: Project, release: dict[str, Any]
) -> None:
    (other,) = (one["ami"] for one in kept.project.done("status")["releases"] if one["role"] == "active")
    answer = ready("deploy", "--ami", other, "--yes")
    assert (answer.code, answer.exit_code) == ("runtime-unsuited", 1)
    assert f"--ami {release['ami']}" in answer.document["hint"]
    with other_contract(kept, release["ami"]):
        assert "`000000000000`" in ready.fails("runtime-unsuited", 1, "deploy", "--yes")
        assert "runtime contract" in ready("ami", "verify", release["ami"]).said
    assert not ready.done("deploy", "--yes")["changed"]


@contextmanager
def other_contract(kept: KeptStage, ami: str) -> Iterator[None]:
    """An AMI whose tag tells of another runtime."""
    ec2, key = kept.client("ec2"), Tag.RUNTIME_CONTRACT.value
    tags = ec2.describe_images(ImageIds=[ami])["Images"][0]["Tags"]
    ec2.create_tags(Resources=[ami], Tags=[{"Key": key, "Value": "0" * 64}])
    yield
    ec2.create_tags(Resources=[ami], Tags=[tag for tag in tags if tag["Key"] == key])


def test_job_whose_host_mounts_no_runtime_ends_before_its_work(
    kept: KeptStage, ready: Project, release: dict[str, Any]
) -> None:
    batch, name = kept.client("batch"), f"{ready.name}-{release['id']}"
    (definition,) = batch.describe_job_definitions(jobDefinitionName=name, status="ACTIVE")["jobDefinitions"]
    properties = definition["containerProperties"]
    assert {"sourceVolume": "runtime", "containerPath": MOUNT, "readOnly": True} in properties["mountPoints"]
    properties["mountPoints"] = [mount for mount in properties["mountPoints"] if mount["containerPath"] != MOUNT]
    without = batch.register_job_definition(
        jobDefinitionName=f"{name}-without", type="container", containerProperties=properties
    )
    submitted = batch.submit_job(jobName="without", jobQueue=name, jobDefinition=without["jobDefinitionArn"])["jobId"]

    def ended() -> dict[str, Any] | None:
        (job,) = batch.describe_jobs(jobs=[submitted])["jobs"]
        return dict(job) if job["status"] in {"SUCCEEDED", "FAILED"} else None

    job = until(ended)
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 78)
    lines = ready.done("job", "logs", submitted)["lines"]
    assert any("runtime-missing" in line["message"] for line in lines)


def test_line_that_runs_the_image_by_hand_mounts_the_runtime_of_this_machine(ready: Project, tmp_path: Path) -> None:
    if not shutil.which("docker"):
        pytest.skip("the line is for docker's command line")
    (tmp_path / "video.mp4").touch()
    loaded = ready.done("image", "load", "--video", str(tmp_path / "video.mp4"))
    ask = ("--entrypoint", "python3", loaded["name"], "-c", "import psycopg, psycopg_binary; print(psycopg.__file__)")
    try:
        assert loaded["run"][-1] == loaded["name"]
        ran = subprocess.run([*loaded["run"][:-1], *ask], capture_output=True, text=True, timeout=60, check=False)
    finally:
        DockerEngine(FakeUi()).untag(loaded["name"])
    assert (ran.returncode, ran.stdout) == (0, f"{MOUNT}/site-packages/psycopg/__init__.py\n"), ran.stderr
