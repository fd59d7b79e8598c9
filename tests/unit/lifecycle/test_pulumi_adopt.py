"""What a killed run was making is found again, or forgotten."""

from typing import Any, cast

from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.pulumi_adopt import adopted
from tests.fakes.states import KINDS, URN


class _Cloud:
    """An `AwsSession` whose clients know one launch template."""

    def client(self, service: str) -> Any:
        return self

    def describe_launch_templates(self, LaunchTemplateNames: list[str]) -> dict[str, Any]:  # noqa: N803
        return {"LaunchTemplates": [{"LaunchTemplateId": f"lt-of-{LaunchTemplateNames[0]}"}]}

    def describe_job_queues(self, jobQueues: list[str]) -> dict[str, Any]:  # noqa: N803
        return {"jobQueues": []}


def pending(kind: str, operation: str = "creating", name: str = "vision-1") -> dict[str, Any]:
    resource = {"urn": f"{URN}{KINDS[kind]}::{name}", "type": KINDS[kind], "inputs": {"name": name}}
    return {"type": operation, "resource": resource}


def adopt(*operations: dict[str, Any], resources: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    state = {"resources": resources, "pending_operations": list(operations), "manifest": {"x": 1}}
    return adopted(state, cast(AwsSession, _Cloud()))


def test_resource_whose_creation_was_cut_off_is_adopted_under_its_id() -> None:
    state = adopt(pending("LaunchTemplate"), pending("ComputeEnvironment"))
    assert [resource["id"] for resource in state["resources"]] == ["lt-of-vision-1", "vision-1"]
    assert state["pending_operations"] == []
    assert state["manifest"] == {"x": 1}


def test_creation_that_never_happened_is_forgotten() -> None:
    assert adopt(pending("JobQueue"))["resources"] == []


def test_resource_that_is_listed_already_is_not_adopted_twice() -> None:
    listed = pending("ComputeEnvironment")["resource"] | {"id": "vision-1"}
    assert adopt(pending("ComputeEnvironment"), resources=[listed])["resources"] == [listed]


def test_cut_off_deletions_and_updates_only_lose_their_mark() -> None:
    assert adopt(pending("ComputeEnvironment", "deleting"), pending("LaunchTemplate", "updating"))["resources"] == []
