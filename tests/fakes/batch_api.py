"""Batch's API as far as it lists jobs: behind a real client, so that what is asked is what AWS's models allow."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from lifecycle.adapters.aws.session import AwsSession
from tests.contract.aws_answers import answer
from tests.fakes.targets import make_target


@dataclass(slots=True)
class BatchApi:
    """Jobs of one queue, oldest first. `calls` counts what was asked; `meanwhile` is done after each ListJobs, by its number from 1."""

    jobs: list[dict[str, Any]] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    meanwhile: dict[int, Any] = field(default_factory=dict)

    def session(self, folder: Path) -> AwsSession:
        """A session whose client of Batch asks this one."""
        made = AwsSession(make_target(folder))
        client = boto3.client("batch", "us-west-2", aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="x")
        client.meta.events.register("before-send.batch", self._answer)
        made.__dict__["_checked_account"] = made._target.account
        made._clients["batch", None] = client
        return made

    def add(self, count: int, status: str, *, name: str = "work", at_ms: int = 1_000, **fields: Any) -> None:
        """That many more jobs, a millisecond apart."""
        for number in range(count):
            self.jobs.append(
                {
                    "jobId": f"job-{len(self.jobs)}",
                    "jobName": name,
                    "status": status,
                    "jobQueue": "queue",
                    "jobDefinition": "definition:1",
                    "createdAt": at_ms + number,
                    "startedAt": at_ms,
                    **fields,
                }
            )

    def _answer(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        operation = request.url.rpartition("/")[2]
        self.calls[operation] += 1
        body = getattr(self, f"_{operation}")(json.loads(request.body))
        if operation == "listjobs":
            self.meanwhile.get(self.calls[operation], lambda: None)()
        return answer(request, 200, json.dumps(body).encode())

    def _describejobs(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert len(asked["jobs"]) <= 100
        return {"jobs": [job for job in self.jobs if job["jobId"] in asked["jobs"]]}

    def _listjobs(self, asked: dict[str, Any]) -> dict[str, Any]:
        filters = asked.get("filters", [])
        assert len(filters) <= 1
        assert not (filters and "jobStatus" in asked), "a filter looks at jobs in any state"
        if filters:
            (wanted,) = filters
            found = [job for job in reversed(self.jobs) if _passes(job, wanted["name"], wanted["values"][0])]
        else:
            found = [job for job in self.jobs if job["status"] == asked.get("jobStatus", "RUNNING")]
        start = int(asked.get("nextToken", 0))
        end = start + min(asked.get("maxResults", 1000), 100 if filters else 1000)
        return {"jobSummaryList": found[start:end], **({"nextToken": str(end)} if end < len(found) else {})}


def _passes(job: dict[str, Any], name: str, value: str) -> bool:
    if name == "AFTER_CREATED_AT":
        return bool(job["createdAt"] > int(value))
    if name == "JOB_NAME":
        pattern, told = value.lower(), job["jobName"].lower()
        return bool(told.startswith(pattern[:-1]) if pattern.endswith("*") else told == pattern)
    assert name == "JOB_DEFINITION"
    return bool(job["jobDefinition"] == value)
