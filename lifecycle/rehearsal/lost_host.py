"""A host that AWS takes back, as it does with Spot instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lifecycle.rehearsal.stage import Stage


@dataclass(frozen=True, slots=True)
class Host:
    """An instance on which a job runs."""

    id: str
    _ec2: Any

    def lose(self) -> None:
        """End it: its jobs are told to end, and their attempts fail."""
        self._ec2.terminate_instances(InstanceIds=[self.id])


def host_of(stage: Stage, job_id: str) -> Host | None:
    """The host of a job; None while it waits for one."""
    (job,) = stage.client("batch").describe_jobs(jobs=[job_id])["jobs"]
    container = job["container"].get("containerInstanceArn")
    if not container:
        return None
    cluster = container.split("/")[-2]
    found = stage.client("ecs").describe_container_instances(cluster=cluster, containerInstances=[container])
    return Host(str(found["containerInstances"][0]["ec2InstanceId"]), stage.client("ec2"))
