"""What a job was submitted with: DescribeJobs tells it together with what its job definition says already."""

from collections.abc import Iterator, Mapping
from typing import Any

from lifecycle.adapters.aws.job_records import job_record
from lifecycle.domain.tags import Tag
from lifecycle.ports.jobs import JobRequest, Submission

# Variables of these names are Batch's own, and tags of these names AWS's.
_OF_BATCH, _OF_AWS = "AWS_BATCH", "aws:"
# What a job in the place of another one is tagged with besides; Batch lets a job have so many tags together with its definition's.
_OF_CAPCTL, _MOST_TAGS = (Tag.PROJECT, Tag.PURPOSE, Tag.RELEASE, Tag.REPLACES), 50
# What makes a job more than one container that runs once, by the members that tell of it.
_KINDS = {
    "arrayProperties": "an array",
    "nodeProperties": "nodes",
    "ecsProperties": "ECS properties",
    "eksProperties": "EKS properties",
    "shareIdentifier": "a share identifier",
}


def submission(job: Mapping[str, Any], definition: Mapping[str, Any] | None) -> Submission:
    """The job beside its definition; without one, which Batch forgets half a year after it was deregistered, all is the job's own.

    A variable or a time limit that is the definition's counts as nobody's: Batch does not tell who set it, and what a release sets, such as
    its model set, has to be the next one's there.
    """
    told, usual = job.get("container") or {}, (definition or {}).get("containerProperties") or {}
    defined, record = _environment(usual), job_record(dict(job))
    environment = {
        name: value
        for name, value in _environment(told).items()
        if defined.get(name) != value and not name.startswith(_OF_BATCH)
    }
    timeout_s = _timeout_s(job)
    return Submission(
        job=record,
        request=JobRequest(
            name=record.name,
            queue_arn=record.queue_arn,
            definition_arn=record.definition_arn,
            environment=environment,
            tags={
                name: value
                for name, value in (job.get("tags") or {}).items()
                if name != Tag.PURPOSE and not name.startswith(_OF_AWS)
            },
            purpose=record.purpose,
            timeout_s=None if timeout_s == _timeout_s(definition or {}) else timeout_s,
        ),
        special=tuple(_special(job, definition or {})),
        waits_for=tuple(str(one["jobId"]) for one in job.get("dependsOn") or () if "jobId" in one),
    )


def _special(job: Mapping[str, Any], definition: Mapping[str, Any]) -> Iterator[str]:
    yield from (kind for member, kind in _KINDS.items() if job.get(member))
    told, usual = job.get("container") or {}, definition.get("containerProperties") or {}
    if (told.get("command") or []) != (usual.get("command") or []):
        yield "a command"
    if (job.get("parameters") or {}) != (definition.get("parameters") or {}):
        yield "parameters"
    if _named(told.get("resourceRequirements"), "type") != _named(usual.get("resourceRequirements"), "type"):
        yield "resources"
    if _retries(job) != _retries(definition):
        yield "retries"
    if (job.get("schedulingPriority") or 0) != (definition.get("schedulingPriority") or 0):
        yield "a scheduling priority"
    if _consumed(job) != _consumed(definition):
        yield "consumable resources"
    if len({*(job.get("tags") or ()), *(definition.get("tags") or ()), *_OF_CAPCTL}) > _MOST_TAGS:
        yield "too many tags for capctl's to be added"


def _environment(container: Mapping[str, Any]) -> dict[str, str]:
    return _named(container.get("environment"), "name")


def _named(entries: list[dict[str, Any]] | None, key: str) -> dict[str, str]:
    return {str(entry[key]): str(entry.get("value", "")) for entry in entries or ()}


def _timeout_s(described: Mapping[str, Any]) -> int | None:
    return (described.get("timeout") or {}).get("attemptDurationSeconds")


def _consumed(described: Mapping[str, Any]) -> list[tuple[str, int]]:
    """How much it takes of what the account shares out, by name."""
    shared = (described.get("consumableResourceProperties") or {}).get("consumableResourceList") or ()
    return sorted((str(one["consumableResource"]), int(one["quantity"])) for one in shared)


def _retries(described: Mapping[str, Any]) -> tuple[int, list[dict[str, str]]]:
    """One attempt is what Batch makes of none; the words of its rules are in any case."""
    strategy = described.get("retryStrategy") or {}
    rules = [{name: str(text).lower() for name, text in rule.items()} for rule in strategy.get("evaluateOnExit") or ()]
    return strategy.get("attempts") or 1, rules
