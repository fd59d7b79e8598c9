"""One case per resource type of the rehearsal's provider: what it is made of, what changes in place, what changes behind its back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.contract.provider_account import (
    ACCOUNT,
    REGION,
    TAGS,
    Properties,
    allowing,
    bucket_of,
    environment_inputs,
    environment_of,
    gateway_of,
    image_of,
    named,
    queue_of,
    repository_of,
    role_of,
    routes_of,
    subnet_of,
    text,
    trust,
    vpc_of,
)
from tests.rehearsal.stage_parts import Aws

# What takes a tag away, changes one and adds one.
OTHER_TAGS = {"capctl:project": "other", "more": "yes"}
RETAGGED = {"tags": OTHER_TAGS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A resource type under test.

    `inputs` has every property that the type applies, and what they refer to is made by it. `changes` are made in place one after the
    other; a value of theirs may be made from the inputs, or in the account where the resource belongs to something else then. `behind`
    changes the resource by its id as a person would, and `drifts` is then told of the inputs. `later` names the computed property that is
    the id after an update, "" where the id stays. `unchanged` are those that no update changes alone, each with the reason.
    """

    token: str
    inputs: Callable[[Aws], Properties]
    changes: tuple[Properties, ...] = ()
    behind: Callable[[Aws, str], Any] | None = None
    drifts: Properties = field(default_factory=dict)
    later: str = ""
    unchanged: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return self.token.rpartition(":")[2]


def changed_inputs(aws: Aws, inputs: Properties, change: Properties) -> Properties:
    """The inputs with a change, of which a value may be made from the inputs, or from the account."""
    values = {
        name: value(aws)
        if callable(value) and name in {"role", "vpcId"}
        else value(inputs)
        if callable(value)
        else value
        for name, value in change.items()
    }
    return {name: value for name, value in (inputs | values).items() if value is not None}


def queue_inputs(aws: Aws) -> Properties:
    name, dead, source = named(), named(), f"arn:aws:sqs:{REGION}:{ACCOUNT}:{named()}"
    aws.sqs.create_queue(QueueName=dead)
    return {
        "name": name,
        "delaySeconds": 1,
        "maxMessageSize": 2048,
        "messageRetentionSeconds": 120,
        "receiveWaitTimeSeconds": 2,
        "visibilityTimeoutSeconds": 40,
        "sqsManagedSseEnabled": True,
        "policy": allowing("sqs:SendMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}", Principal={"AWS": ACCOUNT}),
        "redrivePolicy": text({"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{dead}", "maxReceiveCount": 3}),
        "redriveAllowPolicy": text({"redrivePermission": "byQueue", "sourceQueueArns": [source]}),
        "tags": TAGS,
    }


def notification_inputs(aws: Aws) -> Properties:
    bucket = bucket_of(aws)
    queue = {"id": "new", "queueArn": queue_of(aws, bucket), "events": ["s3:ObjectCreated:*"]}
    return {"bucket": bucket, "queues": [{**queue, "filterPrefix": "videos/", "filterSuffix": ".mp4"}]}


def renotified(inputs: Properties) -> list[Properties]:
    (queue,) = inputs["queues"]
    return [{**queue, "filterPrefix": "samples/"}]


_NEEDS = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
_LIMIT = {"action": "CANCEL", "state": "RUNNABLE", "reason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"}
_DISK = {"deviceName": "/dev/xvda", "ebs": {"volumeSize": 30, "volumeType": "gp3", "encrypted": "true"}}
_ANYWHERE = {"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}
_WEB = {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["10.0.0.0/8"], "description": "web"}
_UPLOADS = {"id": "uploads", "status": "Enabled", "filter": {"prefix": ""}}


def lifecycle_text(days: int) -> str:
    selection = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": days}
    return json.dumps(
        {"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]},
        sort_keys=True,
        separators=(",", ":"),
    )


CASES: tuple[Case, ...] = (
    Case(
        token="aws:s3/bucket:Bucket",
        inputs=lambda _: {"bucket": named(), "tags": TAGS},
        changes=(RETAGGED,),
        behind=lambda aws, name: aws.s3.put_bucket_tagging(
            Bucket=name, Tagging={"TagSet": [{"Key": "by", "Value": "hand"}]}
        ),
        drifts={"tags": {"by": "hand"}},
    ),
    Case(
        token="aws:s3/bucketVersioning:BucketVersioning",
        inputs=lambda aws: {"bucket": bucket_of(aws), "versioningConfiguration": {"status": "Enabled"}},
        changes=({"versioningConfiguration": {"status": "Suspended"}},),
        behind=lambda aws, name: aws.s3.put_bucket_versioning(
            Bucket=name, VersioningConfiguration={"Status": "Suspended"}
        ),
        drifts={"versioningConfiguration": {"status": "Suspended"}},
    ),
    Case(
        token="aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        inputs=lambda aws: {
            "bucket": bucket_of(aws),
            "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}],
        },
        changes=({"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}]},),
        behind=lambda aws, name: aws.s3.put_bucket_encryption(
            Bucket=name,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]
            },
        ),
        drifts={"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}]},
    ),
    Case(
        token="aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        inputs=lambda aws: {
            "bucket": bucket_of(aws),
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        },
        changes=(
            {"blockPublicAcls": False},
            {"blockPublicPolicy": False},
            {"ignorePublicAcls": False},
            {"restrictPublicBuckets": False},
        ),
        behind=lambda aws, name: aws.s3.put_public_access_block(
            Bucket=name,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "BlockPublicPolicy": False,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
        ),
        drifts={"blockPublicPolicy": False},
    ),
    Case(
        token="aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        inputs=lambda aws: {
            "bucket": bucket_of(aws),
            "rules": [
                {**_UPLOADS, "abortIncompleteMultipartUpload": {"daysAfterInitiation": 2}},
                {
                    "id": "boots",
                    "status": "Enabled",
                    "filter": {"prefix": "boots/"},
                    "expiration": {"days": 8},
                    "noncurrentVersionExpiration": {"noncurrentDays": 1},
                },
            ],
        },
        changes=({"rules": [{**_UPLOADS, "abortIncompleteMultipartUpload": {"daysAfterInitiation": 3}}]},),
        behind=lambda aws, name: aws.s3.put_bucket_lifecycle_configuration(
            Bucket=name,
            LifecycleConfiguration={
                "Rules": [
                    {
                        "ID": "uploads",
                        "Status": "Disabled",
                        "Filter": {"Prefix": ""},
                        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2},
                    }
                ]
            },
        ),
        drifts={
            "rules": [{**_UPLOADS, "status": "Disabled", "abortIncompleteMultipartUpload": {"daysAfterInitiation": 2}}]
        },
    ),
    Case(
        token="aws:s3/bucketNotification:BucketNotification",
        inputs=notification_inputs,
        changes=({"queues": renotified},),
        behind=lambda aws, name: aws.s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={}
        ),
        drifts={"queues": []},
    ),
    Case(
        token="aws:sqs/queue:Queue",
        inputs=queue_inputs,
        changes=(
            {"delaySeconds": 5},
            {"maxMessageSize": 4096},
            {"messageRetentionSeconds": 240},
            {"receiveWaitTimeSeconds": 4},
            {"visibilityTimeoutSeconds": 80},
            {"policy": allowing("sqs:ReceiveMessage", "arn:aws:sqs:us-west-2:1:x", Principal={"AWS": ACCOUNT})},
            {"redrivePolicy": None},
            {"redriveAllowPolicy": text({"redrivePermission": "denyAll"})},
            {"sqsManagedSseEnabled": None, "kmsMasterKeyId": "alias/aws/sqs", "kmsDataKeyReusePeriodSeconds": 600},
            RETAGGED,
        ),
        behind=lambda aws, url: aws.sqs.set_queue_attributes(
            QueueUrl=url, Attributes={"VisibilityTimeout": "7", "SqsManagedSseEnabled": "false"}
        ),
        drifts={"visibilityTimeoutSeconds": 7, "sqsManagedSseEnabled": False},
    ),
    Case(
        token="aws:dynamodb/table:Table",
        inputs=lambda _: {
            "name": named(),
            "billingMode": "PAY_PER_REQUEST",
            "hashKey": "id",
            "rangeKey": "at",
            "attributes": [{"name": "id", "type": "S"}, {"name": "at", "type": "N"}],
            "deletionProtectionEnabled": False,
            "pointInTimeRecovery": {"enabled": True},
            "serverSideEncryption": {"enabled": True},
            "ttl": {"attributeName": "expires_at", "enabled": True},
            "tags": TAGS,
        },
        changes=(
            {"pointInTimeRecovery": {"enabled": False}},
            {"serverSideEncryption": {"enabled": False}},
            {"ttl": {"attributeName": "expires_at", "enabled": False}},
            {"deletionProtectionEnabled": True},
            {"deletionProtectionEnabled": False},
            {"billingMode": "PROVISIONED", "readCapacity": 2, "writeCapacity": 3},
            RETAGGED,
        ),
        behind=lambda aws, name: aws.dynamodb.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
        ),
        drifts={"pointInTimeRecovery": {"enabled": False}},
        unchanged={"attributes": "they are those of the keys"},
    ),
    Case(
        token="aws:cloudwatch/logGroup:LogGroup",
        inputs=lambda _: {"name": f"/contract/{named()}", "retentionInDays": 30, "tags": TAGS},
        changes=({"retentionInDays": 60}, {"retentionInDays": 0}, RETAGGED),
        behind=lambda aws, name: aws.logs.put_retention_policy(logGroupName=name, retentionInDays=1),
        drifts={"retentionInDays": 1},
    ),
    Case(
        token="aws:ecr/repository:Repository",
        inputs=lambda _: {
            "name": named(),
            "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
            "imageTagMutabilityExclusionFilters": [{"filter": "cache-*", "filterType": "WILDCARD"}],
            "imageScanningConfiguration": {"scanOnPush": True},
            "encryptionConfigurations": [{"encryptionType": "AES256"}],
            "tags": TAGS,
        },
        changes=(
            {"imageTagMutabilityExclusionFilters": [{"filter": "dev-*", "filterType": "WILDCARD"}]},
            {"imageTagMutability": "IMMUTABLE", "imageTagMutabilityExclusionFilters": None},
            {"imageScanningConfiguration": {"scanOnPush": False}},
            RETAGGED,
        ),
        behind=lambda aws, name: aws.ecr.put_image_scanning_configuration(
            repositoryName=name, imageScanningConfiguration={"scanOnPush": False}
        ),
        drifts={"imageScanningConfiguration": {"scanOnPush": False}},
    ),
    Case(
        token="aws:ecr/lifecyclePolicy:LifecyclePolicy",
        inputs=lambda aws: {"repository": repository_of(aws), "policy": lifecycle_text(7)},
        behind=lambda aws, name: aws.ecr.put_lifecycle_policy(
            repositoryName=name, lifecyclePolicyText=lifecycle_text(8)
        ),
        drifts={"policy": lifecycle_text(8)},
    ),
    Case(
        token="aws:iam/role:Role",
        inputs=lambda _: {"name": named(), "assumeRolePolicy": trust("ec2"), "tags": TAGS},
        changes=({"assumeRolePolicy": trust("ecs-tasks")}, RETAGGED),
        behind=lambda aws, name: aws.iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust("lambda")),
        drifts={"assumeRolePolicy": trust("lambda")},
    ),
    Case(
        token="aws:iam/rolePolicy:RolePolicy",
        inputs=lambda aws: {
            "role": role_of(aws),
            "name": "capctl",
            "policy": allowing("s3:GetObject", "arn:aws:s3:::data/*"),
        },
        changes=({"policy": allowing("s3:PutObject", "arn:aws:s3:::data/*")},),
        behind=lambda aws, both: aws.iam.put_role_policy(
            RoleName=both.partition(":")[0], PolicyName="capctl", PolicyDocument=allowing("s3:*", "*")
        ),
        drifts={"policy": allowing("s3:*", "*")},
    ),
    Case(
        token="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        inputs=lambda aws: {
            "role": role_of(aws),
            "policyArn": "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
        },
    ),
    Case(
        token="aws:iam/instanceProfile:InstanceProfile",
        inputs=lambda aws: {"name": named(), "role": role_of(aws), "tags": TAGS},
        changes=({"role": role_of}, RETAGGED),
        behind=lambda aws, name: aws.iam.tag_instance_profile(
            InstanceProfileName=name, Tags=[{"Key": "Name", "Value": "by hand"}]
        ),
        drifts={"tags": {**TAGS, "Name": "by hand"}},
    ),
    Case(
        token="aws:ec2/launchTemplate:LaunchTemplate",
        inputs=lambda aws: {
            "name": named(),
            "imageId": image_of(aws),
            "userData": "AAAA",
            "metadataOptions": {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1},
            "blockDeviceMappings": [_DISK],
            "tagSpecifications": [{"resourceType": "instance", "tags": TAGS}],
            "tags": TAGS,
        },
        changes=(
            {"imageId": "ami-0123456789abcdef0"},
            {"userData": "BBBB"},
            {
                "metadataOptions": {
                    "httpEndpoint": "enabled",
                    "httpTokens": "optional",
                    "httpPutResponseHopLimit": 2,
                }
            },
            {"blockDeviceMappings": [{**_DISK, "ebs": {**_DISK["ebs"], "volumeSize": 40}}]},  # type: ignore[dict-item]
            {"tagSpecifications": [{"resourceType": "volume", "tags": OTHER_TAGS}]},
            RETAGGED,
        ),
        behind=lambda aws, template: aws.ec2.create_launch_template_version(
            LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData={"ImageId": "ami-0fedcba9876543210"}
        ),
        drifts={"imageId": "ami-0fedcba9876543210"},
    ),
    Case(
        token="aws:ec2/vpc:Vpc",
        inputs=lambda _: {
            "cidrBlock": "10.2.0.0/16",
            "enableDnsHostnames": True,
            "enableDnsSupport": True,
            "instanceTenancy": "default",
            "tags": TAGS,
        },
        changes=({"enableDnsHostnames": False}, {"enableDnsSupport": False}, RETAGGED),
        behind=lambda aws, vpc: aws.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": False}),
        drifts={"enableDnsHostnames": False},
    ),
    Case(
        token="aws:ec2/subnet:Subnet",
        inputs=lambda aws: {
            "vpcId": vpc_of(aws),
            "cidrBlock": "10.1.2.0/24",
            "availabilityZone": "us-west-2b",
            "mapPublicIpOnLaunch": True,
            "tags": TAGS,
        },
        changes=({"mapPublicIpOnLaunch": False}, RETAGGED),
        behind=lambda aws, subnet: aws.ec2.modify_subnet_attribute(
            SubnetId=subnet, MapPublicIpOnLaunch={"Value": False}
        ),
        drifts={"mapPublicIpOnLaunch": False},
    ),
    Case(
        token="aws:ec2/internetGateway:InternetGateway",
        inputs=lambda aws: {"vpcId": vpc_of(aws), "tags": TAGS},
        changes=({"vpcId": vpc_of}, RETAGGED),
        behind=lambda aws, gateway: aws.ec2.create_tags(Resources=[gateway], Tags=[{"Key": "Name", "Value": "mine"}]),
        drifts={"tags": {**TAGS, "Name": "mine"}},
    ),
    Case(
        token="aws:ec2/routeTable:RouteTable",
        inputs=lambda aws: {
            "vpcId": (vpc := vpc_of(aws)),
            "routes": [{"cidrBlock": "0.0.0.0/0", "gatewayId": gateway_of(aws, vpc)}],
            "tags": TAGS,
        },
        changes=(
            {"routes": lambda inputs: [*inputs["routes"], {**inputs["routes"][0], "cidrBlock": "192.168.0.0/16"}]},
            {"routes": lambda inputs: inputs["routes"][1:]},
            RETAGGED,
        ),
        behind=lambda aws, table: aws.ec2.delete_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0"),
        drifts={"routes": []},
    ),
    Case(
        token="aws:ec2/routeTableAssociation:RouteTableAssociation",
        inputs=lambda aws: {
            "routeTableId": routes_of(aws, vpc := vpc_of(aws)),
            "subnetId": subnet_of(aws, vpc),
        },
    ),
    Case(
        token="aws:ec2/vpcEndpoint:VpcEndpoint",
        inputs=lambda aws: {
            "vpcId": (vpc := vpc_of(aws)),
            "serviceName": "com.amazonaws.us-west-2.s3",
            "vpcEndpointType": "Gateway",
            "routeTableIds": [routes_of(aws, vpc)],
            "policy": allowing("s3:GetObject", "arn:aws:s3:::data/*", Principal="*"),
            "tags": TAGS,
        },
        changes=(
            {"policy": allowing("s3:PutObject", "arn:aws:s3:::data/*", Principal="*")},
            {"routeTableIds": []},
            RETAGGED,
        ),
        behind=lambda aws, endpoint: aws.ec2.create_tags(Resources=[endpoint], Tags=[{"Key": "Name", "Value": "mine"}]),
        drifts={"tags": {**TAGS, "Name": "mine"}},
    ),
    Case(
        token="aws:ec2/securityGroup:SecurityGroup",
        inputs=lambda aws: {
            "name": named(),
            "description": "hosts",
            "vpcId": vpc_of(aws),
            "egress": [_ANYWHERE],
            "ingress": [_WEB],
            "tags": TAGS,
        },
        changes=({"egress": [_WEB]}, {"ingress": None}, RETAGGED),
        behind=lambda aws, group: aws.ec2.authorize_security_group_ingress(
            GroupId=group,
            IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
        ),
        drifts={
            "ingress": [_WEB, {"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": ["0.0.0.0/0"]}],
        },
    ),
    Case(
        token="aws:batch/computeEnvironment:ComputeEnvironment",
        inputs=environment_inputs,
        changes=(
            {"computeResources": lambda inputs: {**inputs["computeResources"], "maxVcpus": 16}},
            {"state": "DISABLED"},
            RETAGGED,
        ),
        behind=lambda aws, name: aws.batch.update_compute_environment(computeEnvironment=name, state="DISABLED"),
        drifts={"state": "DISABLED"},
    ),
    Case(
        token="aws:batch/jobQueue:JobQueue",
        inputs=lambda aws: {
            "name": named(),
            "state": "ENABLED",
            "priority": 1,
            "computeEnvironmentOrders": [{"order": 1, "computeEnvironment": environment_of(aws)}],
            "jobStateTimeLimitActions": [{**_LIMIT, "maxTimeSeconds": 600}],
            "tags": TAGS,
        },
        changes=(
            {"state": "DISABLED"},
            {"priority": 2},
            {"jobStateTimeLimitActions": [{**_LIMIT, "maxTimeSeconds": 900}]},
            {"computeEnvironmentOrders": lambda inputs: [{**inputs["computeEnvironmentOrders"][0], "order": 2}]},
            RETAGGED,
        ),
        behind=lambda aws, arn: aws.batch.update_job_queue(jobQueue=arn, priority=9),
        drifts={"priority": 9},
    ),
    Case(
        token="aws:batch/jobDefinition:JobDefinition",
        inputs=lambda _: {
            "name": named(),
            "type": "container",
            "containerProperties": text({"image": "busybox", "resourceRequirements": _NEEDS}),
            "platformCapabilities": ["EC2"],
            "propagateTags": True,
            "parameters": {"a": "b"},
            "retryStrategy": {"attempts": 2, "evaluateOnExits": [{"action": "EXIT", "onReason": "*"}]},
            "timeout": {"attemptDurationSeconds": 60},
            "tags": TAGS,
        },
        changes=(
            {"containerProperties": text({"image": "alpine", "resourceRequirements": _NEEDS})},
            {"propagateTags": False},
            {"parameters": {"c": "d"}},
            {"retryStrategy": {"attempts": 3}},
            {"timeout": {"attemptDurationSeconds": 90}},
            RETAGGED,
        ),
        later="arn",
        unchanged={"platformCapabilities": "nothing of the rehearsal is Fargate's"},
    ),
)
