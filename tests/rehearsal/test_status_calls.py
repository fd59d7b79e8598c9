"""What `status` and `drift` of three releases cost in calls to AWS, counted where they arrive."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.app import App
from lifecycle.domain.ami import AmiId
from lifecycle.domain.deployment import Deployment, Outcome
from lifecycle.domain.job_counts import COUNTED, JobCounts
from lifecycle.domain.release import DeployedRelease
from lifecycle.rehearsal.emulator.launch import Emulator
from lifecycle.workflows.drift import find_drift
from lifecycle.workflows.status import read_status
from tests.fakes.releases import make_release
from tests.fakes.stack import FakeStack, deployed
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi
from tests.rehearsal.release_parts import ReleaseParts
from tests.rehearsal.stage_parts import Aws

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def releases(aws: Aws, emulator: Emulator) -> Iterator[tuple[DeployedRelease, ...]]:
    """Three releases that Batch has."""
    aws.ecr.create_repository(repositoryName="vision")
    aws.dynamodb.create_table(
        TableName="vision-capctl",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    ami_id, made = AmiId(emulator.facts["base_ami"]), []
    for number in range(3):
        parts = ReleaseParts(aws, ami_id, "vision", uuid.uuid4().hex[:12])
        (queue,) = aws.batch.describe_job_queues(jobQueues=[parts.name])["jobQueues"]
        release = DeployedRelease(
            id=parts.release_id,
            ami_id=ami_id,
            image=make_release(number).image,
            model_set=deployed(make_release()).model_set,
            compute_environment_arn=parts.batch.environment,
            job_queue_arn=queue["jobQueueArn"],
            job_definition_arn=parts.definition,
        )
        made.append((parts, release))
    yield tuple(release for _, release in made)
    for parts, _ in made:
        parts.remove()


@pytest.fixture
def application(
    releases: tuple[DeployedRelease, ...], emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> App:
    """The adapters of a target in the emulator's account, but for Pulumi: its state says nothing to AWS where it is of this machine.

    Somebody deployed there before.
    """
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    target, stack = make_target(tmp_path, endpoint_url=emulator.endpoint), FakeStack()
    made, other = (App(target, FakeUi(), command=f"capctl {name}") for name in ("count", "deploy"))
    for release in releases:
        stack.stand(release)
    made.stack = stack
    with other.deployments.turn("run", "capctl deploy") as turn:
        other.deployments.write(
            Deployment(
                number=turn.number,
                holder=turn.holder,
                reason="",
                release_id=releases[-1].id,
                record="",
                replaces="",
                outcome=Outcome.PROMOTED,
            )
        )
    return made


def calls_of(emulator: Emulator) -> Counter[str]:
    """What commands asked so far; the tests' own clients name none."""
    told = map(json.loads, (emulator.options.state / "calls.jsonl").read_text().splitlines())
    return Counter(f"{call['service']}:{call['operation']}" for call in told if "app/capctl.count" in call["agent"])


TEN = Counter(
    {
        "sts:GetCallerIdentity": 1,
        "dynamodb:GetItem": 2,
        "dynamodb:BatchGetItem": 1,
        "batch:DescribeJobQueues": 1,
        "batch:DescribeComputeEnvironments": 1,
        "batch:ListJobs": 3,
        "ecr:DescribeImages": 1,
    }
)


def test_status_of_three_releases_takes_ten_calls(application: App, emulator: Emulator) -> None:
    before = calls_of(emulator)
    status = read_status(application)
    assert [release.state for release in status.releases] == ["VALID"] * 3
    assert [release.jobs for release in status.releases] == [JobCounts()] * 3
    assert calls_of(emulator) - before == TEN


def test_status_takes_no_more_calls_for_more_jobs_than_fit_into_a_page(
    application: App, releases: tuple[DeployedRelease, ...], aws: Aws, emulator: Emulator
) -> None:
    aws.batch.update_compute_environment(computeEnvironment=releases[0].compute_environment_arn, state="DISABLED")
    parts = {"jobQueue": releases[0].job_queue_arn, "jobDefinition": releases[0].job_definition_arn}
    submitted = [aws.batch.submit_job(jobName="work", **parts)["jobId"] for _ in range(COUNTED + 1)]
    before = calls_of(emulator)
    counts = [release.jobs for release in read_status(application).releases]
    made = calls_of(emulator) - before
    for job_id in submitted:
        aws.batch.terminate_job(jobId=job_id, reason="counted")
    aws.batch.update_compute_environment(computeEnvironment=releases[0].compute_environment_arn, state="ENABLED")
    assert counts == [JobCounts(waiting=COUNTED, is_complete=False), JobCounts(), JobCounts()]
    assert made == TEN


def test_drift_of_three_releases_takes_a_call_for_each_kind_of_thing(application: App, emulator: Emulator) -> None:
    before = calls_of(emulator)
    drift = find_drift(application, application.target)
    assert len(drift.release_ids) == 3
    assert not drift.unread
    assert calls_of(emulator) - before == Counter(
        {
            "sts:GetCallerIdentity": 1,
            "dynamodb:GetItem": 1,
            "batch:DescribeJobQueues": 1,
            "batch:DescribeComputeEnvironments": 1,
            "batch:DescribeJobDefinitions": 1,
            "ec2:DescribeLaunchTemplateVersions": 1,
            "ec2:DescribeInstances": 1,
            # The AMI of the releases is not the project's, so it is asked for by its id.
            "ec2:DescribeImages": 2,
            "ssm:GetParameterHistory": 1,
            "ecr:DescribeImages": 1,
        }
    )
