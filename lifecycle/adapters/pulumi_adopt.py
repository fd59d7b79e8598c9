"""What a killed update left: resources that exist while the state says they are still being created."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.adapters.aws.errors import is_missing, translated
from lifecycle.adapters.aws.session import AwsSession

_Inputs = dict[str, Any]
_Find = Callable[[AwsSession, _Inputs], str | None]


def adopted(deployment: dict[str, Any], session: AwsSession) -> dict[str, Any]:
    """The deployment without pending operations, itself where there are none; what was being created and can exist is listed under its id.

    The update that follows must refresh: it drops what does not exist after all, and fills in the rest.
    """
    if not deployment.get("pending_operations"):
        return deployment
    resources = list(deployment.get("resources") or ())
    known = {resource["urn"] for resource in resources}
    for operation in deployment.get("pending_operations") or ():
        resource = operation["resource"]
        if operation["type"] != "creating" or resource["urn"] in known:
            continue
        found = found_id(session, resource["type"], resource.get("inputs") or {})
        if found:
            resources.append({**resource, "id": found, "outputs": resource.get("inputs") or {}})
    return {**deployment, "resources": resources, "pending_operations": []}


def found_id(session: AwsSession, kind: str, inputs: _Inputs) -> str | None:
    """The id of what a resource of this type with these inputs is, or would be; None when AWS must know it and does not.

    Raises `CapctlError` when AWS cannot be asked.
    """
    return _IDS.get(kind, _named)(session, inputs)


def _named(_: AwsSession, inputs: _Inputs) -> str | None:
    """Most resources are known by their name."""
    return inputs.get("name") or inputs.get("bucket")


def _role_policy(_: AwsSession, inputs: _Inputs) -> str | None:
    return f"{inputs['role']}:{inputs['name']}"


def _attachment(_: AwsSession, inputs: _Inputs) -> str | None:
    return f"{inputs['role']}/{inputs['policyArn']}"


def _lifecycle_policy(_: AwsSession, inputs: _Inputs) -> str | None:
    return str(inputs["repository"])


def _launch_template(session: AwsSession, inputs: _Inputs) -> str | None:
    with translated(f"looking for launch template `{inputs['name']}`"):
        try:
            found = session.client("ec2").describe_launch_templates(LaunchTemplateNames=[inputs["name"]])
        except ClientError as error:
            if is_missing(error):
                return None
            raise
    return next((str(template["LaunchTemplateId"]) for template in found["LaunchTemplates"]), None)


def _job_queue(session: AwsSession, inputs: _Inputs) -> str | None:
    with translated(f"looking for job queue `{inputs['name']}`"):
        found = session.client("batch").describe_job_queues(jobQueues=[inputs["name"]])["jobQueues"]
    return next((str(queue["jobQueueArn"]) for queue in found), None)


def _job_definition(session: AwsSession, inputs: _Inputs) -> str | None:
    with translated(f"looking for job definition `{inputs['name']}`"):
        answer = session.client("batch").describe_job_definitions(jobDefinitionName=inputs["name"], status="ACTIVE")
    revisions = sorted(answer["jobDefinitions"], key=lambda definition: definition["revision"])
    return str(revisions[-1]["jobDefinitionArn"]) if revisions else None


def _queue(session: AwsSession, inputs: _Inputs) -> str | None:
    with translated(f"looking for queue `{inputs['name']}`"):
        try:
            return str(session.client("sqs").get_queue_url(QueueName=inputs["name"])["QueueUrl"])
        except ClientError as error:
            if is_missing(error):
                return None
            raise


def _tagged(listed: str, id_key: str) -> _Find:
    """By its tags, since EC2 gives it an id and no name. `listed` is what EC2 calls several of them, such as `RouteTables`."""

    def find(session: AwsSession, inputs: _Inputs) -> str | None:
        filters = [
            {"Name": f"tag:{key}", "Values": [value]} for key, value in sorted((inputs.get("tags") or {}).items())
        ]
        # A gateway is created before it is attached.
        if inputs.get("vpcId") and listed != "InternetGateways":
            filters.append({"Name": "vpc-id", "Values": [inputs["vpcId"]]})
        found = _described(session, listed, filters) if inputs.get("tags") else []
        # Of several nobody can say which one it was: it is made again, and they are left alone.
        return str(found[0][id_key]) if len(found) == 1 else None

    return find


def _association(session: AwsSession, inputs: _Inputs) -> str | None:
    subnet = {"Name": "association.subnet-id", "Values": [inputs["subnetId"]]}
    return next(
        (
            str(association["RouteTableAssociationId"])
            for table in _described(session, "RouteTables", [subnet])
            for association in table["Associations"]
            if association.get("SubnetId") == inputs["subnetId"]
            and association["RouteTableId"] == inputs["routeTableId"]
        ),
        None,
    )


def _described(session: AwsSession, listed: str, filters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ec2 = session.client("ec2")
    describe = {
        "InternetGateways": "describe_internet_gateways",
        "RouteTables": "describe_route_tables",
        "SecurityGroups": "describe_security_groups",
        "Subnets": "describe_subnets",
        "VpcEndpoints": "describe_vpc_endpoints",
        "Vpcs": "describe_vpcs",
    }[listed]
    with translated(f"looking for what the base stack has of {listed}"):
        pages = ec2.get_paginator(describe).paginate(Filters=filters)
        return [one for page in pages for one in page[listed]]


_IDS: dict[str, _Find] = {
    "aws:batch/jobDefinition:JobDefinition": _job_definition,
    "aws:batch/jobQueue:JobQueue": _job_queue,
    "aws:ec2/internetGateway:InternetGateway": _tagged("InternetGateways", "InternetGatewayId"),
    "aws:ec2/launchTemplate:LaunchTemplate": _launch_template,
    "aws:ec2/routeTable:RouteTable": _tagged("RouteTables", "RouteTableId"),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _association,
    "aws:ec2/securityGroup:SecurityGroup": _tagged("SecurityGroups", "GroupId"),
    "aws:ec2/subnet:Subnet": _tagged("Subnets", "SubnetId"),
    "aws:ec2/vpc:Vpc": _tagged("Vpcs", "VpcId"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _tagged("VpcEndpoints", "VpcEndpointId"),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": _lifecycle_policy,
    "aws:iam/rolePolicy:RolePolicy": _role_policy,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _attachment,
    "aws:sqs/queue:Queue": _queue,
}
