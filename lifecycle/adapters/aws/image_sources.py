"""What names images in an account, one function per source. Each reads its source to the end."""

from __future__ import annotations

import base64
import binascii
import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lifecycle.adapters.aws import scanning
from lifecycle.adapters.aws.scanning import pages, readable_parameters, texts
from lifecycle.domain.usage import Use

_DIGEST = re.compile(r"\bsha256:[0-9a-f]{64}\b")
# capctl's own tags, which are names of content and mean nothing else.
_OWN_TAG = re.compile(r"\b(?:code|base)-[0-9a-f]{12,64}\b")
_BATCH = "/AWSServiceRoleForBatch"  # in the ARN of its role, and of a session of that
_WAITING = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
_AT_ONCE = 100  # the most that DescribeJobs, DescribeJobDefinitions and DescribeTasks take
_SERVICES_AT_ONCE = 10
_READERS = 8  # calls of a kind that takes one thing a call; ECS allows more a second


class Found:
    """What a source names of the repository `name`: digests and tags."""

    def __init__(self, name: str) -> None:
        self.uses: list[Use] = []
        self._name = name
        # Whatever registry stands before it: ECR answers under several host names, and copies of it under others.
        tag = r":([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})(?=$|[\s\"'@,;])"
        self._image = re.compile(rf"(?:^|[/\s\"'=]){re.escape(name)}(?:{tag}|(?=$|[\s\"',;]))")

    def add(self, document: Any, *, kind: str, name: str, detail: str = "") -> None:
        """Take everything that `document` names, at whatever depth: what AWS adds to its answers counts from the first day."""
        self.uses += [Use(of=one, kind=kind, name=name, detail=detail) for one in self.named(document)]

    def named(self, document: Any) -> list[str]:
        """Digests and tags, each once; an image without either is that of tag `latest`."""
        found: dict[str, None] = {}
        for text in texts(document):
            found |= dict.fromkeys((*_DIGEST.findall(text), *_OWN_TAG.findall(text)))
            found |= dict.fromkeys(tag or "latest" for tag in self._image.findall(text))
        return list(found)


def job_definitions(batch: Any, found: Found) -> None:
    """Every active revision of every job definition: a job may be submitted to any of them."""
    for page in pages(batch, "describe_job_definitions", size=100, status="ACTIVE"):
        for one in page["jobDefinitions"]:
            found.add(one, kind="job definition", name=f"{one['jobDefinitionName']}:{one['revision']}")


def jobs(batch: Any, found: Found) -> None:
    """Jobs that wait or run, also of revisions that are not active any more."""
    queues = [
        str(one["jobQueueArn"]) for page in pages(batch, "describe_job_queues", size=100) for one in page["jobQueues"]
    ]
    ids: dict[str, None] = {}
    for queue in queues:
        for status in _WAITING:
            for page in pages(batch, "list_jobs", size=100, jobQueue=queue, jobStatus=status):
                ids |= dict.fromkeys(str(job["jobId"]) for job in page["jobSummaryList"])
    for chunk in _chunks([*ids], _AT_ONCE):
        for job in batch.describe_jobs(jobs=chunk)["jobs"]:
            found.add(job, kind="job", name=str(job["jobId"]), detail=str(job.get("status", "")))


def task_definitions(ecs: Any, found: Found, *, known: dict[str, list[str]]) -> None:
    """Active task definitions, and those that services run. `known` keeps what each names: a revision never changes."""
    arns = dict.fromkeys(
        str(arn)
        for page in pages(ecs, "list_task_definitions", size=100, status="ACTIVE")
        for arn in page["taskDefinitionArns"]
    )
    services = list(_services(ecs))
    arns |= dict.fromkeys(
        text
        for service in services
        for text in texts(service)
        if ":task-definition/" in text and text.startswith("arn:")
    )

    def read(arn: str) -> tuple[str, list[str]]:
        described = ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
        # Batch leaves what it registered for a job; its job definitions and jobs tell what may still run.
        return arn, [] if _BATCH in str(described.get("registeredBy", "")) else found.named(described)

    with ThreadPoolExecutor(max_workers=_READERS) as pool:
        known.update(pool.map(read, [arn for arn in arns if arn not in known]))
    for arn in arns:
        name = arn.rpartition("/")[2]
        found.uses += [Use(of=one, kind="task definition", name=name) for one in known[arn]]


def tasks(ecs: Any, found: Found) -> None:
    """Tasks that run, whoever started them."""
    for cluster in _clusters(ecs):
        arns = [str(arn) for page in pages(ecs, "list_tasks", size=100, cluster=cluster) for arn in page["taskArns"]]
        for chunk in _chunks(arns, _AT_ONCE):
            for task in ecs.describe_tasks(cluster=cluster, tasks=chunk)["tasks"]:
                found.add(task, kind="task", name=str(task["taskArn"]).rpartition("/")[2])


def amis(ec2: Any, found: Found) -> None:
    """The account's own AMIs, disabled ones too, whose tags or description name an image, as somebody pulled it into them."""
    for page in pages(ec2, "describe_images", size=500, Owners=["self"], IncludeDisabled=True):
        for one in page["Images"]:
            told = [one.get("Description", ""), [tag.get("Value", "") for tag in one.get("Tags", ())]]
            found.add(told, kind="AMI", name=str(one["ImageId"]))


def launch_templates(ec2: Any, found: Found, *, newest: int) -> None:
    """Launch templates whose user data, or anything else of theirs, names an image to pull."""
    for described in scanning.template_versions(ec2, newest=newest):
        data = described.get("LaunchTemplateData") or {}
        found.add(
            [data, _user_data(str(data.get("UserData") or ""))],
            kind="launch template",
            name=described.get("LaunchTemplateName", described["LaunchTemplateId"]),
            detail=f"version {described['VersionNumber']}",
        )


def parameters(ssm: Any, found: Found) -> None:
    """Parameters whose text names an image, in JSON too."""
    for name, value in readable_parameters(ssm):
        found.add(value, kind="parameter", name=name)


def _services(ecs: Any) -> Iterator[dict[str, Any]]:
    for cluster in _clusters(ecs):
        arns = [
            str(arn) for page in pages(ecs, "list_services", size=100, cluster=cluster) for arn in page["serviceArns"]
        ]
        for chunk in _chunks(arns, _SERVICES_AT_ONCE):
            yield from ecs.describe_services(cluster=cluster, services=chunk)["services"]


def _clusters(ecs: Any) -> list[str]:
    return [str(arn) for page in pages(ecs, "list_clusters", size=100) for arn in page["clusterArns"]]


def _user_data(encoded: str) -> str:
    """The text of user data, which may be compressed; "" for what is none."""
    try:
        raw = base64.b64decode(encoded)
        return (gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw).decode("utf-8", "replace")
    except (binascii.Error, OSError, EOFError, zlib.error):
        return ""


def _chunks(items: Sequence[str], size: int) -> Iterator[list[str]]:
    yield from (list(items[start : start + size]) for start in range(0, len(items), size))
