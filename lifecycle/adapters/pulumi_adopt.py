"""What a killed update left: resources that exist while the state says they are still being created."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.adapters.aws.errors import is_missing, translated
from lifecycle.adapters.aws.session import AwsSession

_Find = Callable[[AwsSession, dict[str, Any]], str | None]


def adopted(deployment: dict[str, Any], session: AwsSession) -> dict[str, Any]:
    """The deployment without pending operations; what was being created and can exist is listed under its id.

    The update that follows must refresh: it drops what does not exist after all, and fills in the rest.
    """
    resources = list(deployment.get("resources") or ())
    known = {resource["urn"] for resource in resources}
    for operation in deployment.get("pending_operations") or ():
        resource = operation["resource"]
        if operation["type"] != "creating" or resource["urn"] in known:
            continue
        found = _IDS.get(resource["type"], _named)(session, resource.get("inputs") or {})
        if found:
            resources.append({**resource, "id": found, "outputs": resource.get("inputs") or {}})
    return {**deployment, "resources": resources, "pending_operations": []}


def _named(_: AwsSession, inputs: dict[str, Any]) -> str | None:
    """Most resources are known by their name."""
    return inputs.get("name") or inputs.get("bucket")


def _role_policy(_: AwsSession, inputs: dict[str, Any]) -> str | None:
    return f"{inputs['role']}:{inputs['name']}"


def _launch_template(session: AwsSession, inputs: dict[str, Any]) -> str | None:
    with translated(f"looking for launch template `{inputs['name']}`"):
        try:
            found = session.client("ec2").describe_launch_templates(LaunchTemplateNames=[inputs["name"]])
        except ClientError as error:
            if is_missing(error):
                return None
            raise
    return next((str(template["LaunchTemplateId"]) for template in found["LaunchTemplates"]), None)


def _job_queue(session: AwsSession, inputs: dict[str, Any]) -> str | None:
    with translated(f"looking for job queue `{inputs['name']}`"):
        found = session.client("batch").describe_job_queues(jobQueues=[inputs["name"]])["jobQueues"]
    return next((str(queue["jobQueueArn"]) for queue in found), None)


def _job_definition(session: AwsSession, inputs: dict[str, Any]) -> str | None:
    with translated(f"looking for job definition `{inputs['name']}`"):
        answer = session.client("batch").describe_job_definitions(jobDefinitionName=inputs["name"], status="ACTIVE")
    revisions = sorted(answer["jobDefinitions"], key=lambda definition: definition["revision"])
    return str(revisions[-1]["jobDefinitionArn"]) if revisions else None


_IDS: dict[str, _Find] = {
    "aws:ec2/launchTemplate:LaunchTemplate": _launch_template,
    "aws:batch/jobQueue:JobQueue": _job_queue,
    "aws:batch/jobDefinition:JobDefinition": _job_definition,
    "aws:iam/rolePolicy:RolePolicy": _role_policy,
}
