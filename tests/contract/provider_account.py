"""What resources under test belong to and refer to, made in the emulator's account."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from pulumi_stack.components.host import user_data
from tests.rehearsal.stage_parts import Aws, until

Properties = dict[str, Any]

ACCOUNT, REGION = "123456789012", "us-west-2"
TAGS = {"capctl:project": "vision", "Name": "one"}
_NUMBERS = count(1)


def text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def allowing(action: str, resource: str, **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": [action], "Resource": [resource], **more}
    return text({"Version": "2012-10-17", "Statement": [statement]})


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": f"{service}.amazonaws.com"}}
    return text({"Version": "2012-10-17", "Statement": [statement]})


def named() -> str:
    """A name that nothing else of the suite has."""
    return f"contract-{next(_NUMBERS)}"


def bucket_of(aws: Aws) -> str:
    name = named()
    aws.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


def role_of(aws: Aws) -> str:
    name = named()
    aws.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust("ec2"))
    return name


def repository_of(aws: Aws) -> str:
    name = named()
    aws.ecr.create_repository(repositoryName=name)
    return name


def vpc_of(aws: Aws) -> str:
    return str(aws.ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"])


def subnet_of(aws: Aws, vpc: str) -> str:
    return str(aws.ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.1.0/24")["Subnet"]["SubnetId"])


def routes_of(aws: Aws, vpc: str) -> str:
    return str(aws.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"])


def gateway_of(aws: Aws, vpc: str) -> str:
    gateway = str(aws.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"])
    aws.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    return gateway


def queue_of(aws: Aws, bucket: str) -> str:
    """The ARN of a queue to which the bucket may send."""
    name = named()
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    condition = {"ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"}}
    policy = allowing("sqs:SendMessage", arn, Principal={"Service": "s3.amazonaws.com"}, Condition=condition)
    aws.sqs.create_queue(QueueName=name, Attributes={"Policy": policy})
    return arn


def image_of(aws: Aws) -> str:
    return str(aws.ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"])


def environment_inputs(aws: Aws) -> Properties:
    data = {"ImageId": image_of(aws), "UserData": user_data()}
    template = aws.ec2.create_launch_template(LaunchTemplateName=named(), LaunchTemplateData=data)["LaunchTemplate"]
    vpc = vpc_of(aws)
    group = aws.ec2.create_security_group(GroupName=named(), Description="hosts", VpcId=vpc)["GroupId"]
    profile, role = named(), role_of(aws)
    made = aws.iam.create_instance_profile(InstanceProfileName=profile)["InstanceProfile"]
    aws.iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=role)
    return {
        "name": named(),
        "type": "MANAGED",
        "state": "ENABLED",
        "computeResources": {
            "type": "SPOT",
            "allocationStrategy": "SPOT_PRICE_CAPACITY_OPTIMIZED",
            "minVcpus": 0,
            "maxVcpus": 8,
            "instanceTypes": ["m5.large"],
            "instanceRole": made["Arn"],
            "subnets": [subnet_of(aws, vpc)],
            "securityGroupIds": [group],
            "launchTemplate": {"launchTemplateId": template["LaunchTemplateId"], "version": "1"},
            "ec2Configurations": [{"imageType": "ECS_AL2023"}],
        },
        "tags": TAGS,
    }


def environment_of(aws: Aws) -> str:
    """The ARN of a compute environment that is VALID."""
    inputs = environment_inputs(aws)
    resources = {
        {"minVcpus": "minvCpus", "maxVcpus": "maxvCpus", "ec2Configurations": "ec2Configuration"}.get(name, name): value
        for name, value in inputs["computeResources"].items()
    }
    made = aws.batch.create_compute_environment(
        computeEnvironmentName=inputs["name"], type="MANAGED", state="ENABLED", computeResources=resources
    )
    arn = str(made["computeEnvironmentArn"])
    until(
        lambda: (
            aws.batch.describe_compute_environments(computeEnvironments=[arn])["computeEnvironments"][0]["status"]
            == "VALID"
        )
    )
    return arn
