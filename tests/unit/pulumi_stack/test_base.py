"""The base program: closed by default, and each role with the least it needs."""

import json
from dataclasses import asdict, replace
from typing import Any

import pulumi
import pytest

from lifecycle.domain.layout import Folder
from pulumi_stack.__main__ import run
from pulumi_stack.base import base
from pulumi_stack.components.tables import EXPIRY
from pulumi_stack.config import BaseConfig, NetworkConfig
from tests.unit.pulumi_stack.recorded import Recording, arn_of, record, statements

# Importing the provider's s3 module defines its deprecated resources too.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

CONFIG = BaseConfig(
    project="vision",
    account="123456789012",
    region="eu-west-1",
    bucket="vision-data",
    repository="vision",
    table="vision-capctl",
    tasks_table="vision-tasks",
    log_group="/vision/jobs",
)
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:database-a1b2c3"
NETWORK = NetworkConfig(cidr="10.64.0.0/16", zones=("a", "c"))


@pytest.fixture(scope="module")
def declared() -> Recording:
    return record(lambda: base(CONFIG))


def test_bucket_is_versioned_encrypted_and_closed(declared: Recording) -> None:
    assert declared.only("BucketVersioning")["versioningConfiguration"] == {"status": "Enabled"}
    assert declared.only("BucketServerSideEncryptionConfiguration")["rules"]
    block = declared.only("BucketPublicAccessBlock")
    assert [block[name] for name in sorted(block) if name != "bucket"] == [True] * 4


def test_parts_of_unfinished_uploads_do_not_stay(declared: Recording) -> None:
    rule, _ = declared.only("BucketLifecycleConfiguration")["rules"]
    assert (rule["status"], rule["abortIncompleteMultipartUpload"]) == ("Enabled", {"daysAfterInitiation": 2})


def test_reports_of_boots_do_not_stay_and_nothing_else_expires(declared: Recording) -> None:
    rules = [rule for rule in declared.only("BucketLifecycleConfiguration")["rules"] if "expiration" in rule]
    assert [(rule["filter"], rule["status"]) for rule in rules] == [({"prefix": f"{Folder.BOOTS}/"}, "Enabled")]
    assert (rules[0]["expiration"], rules[0]["noncurrentVersionExpiration"]) == ({"days": 8}, {"noncurrentDays": 1})


def test_image_tags_are_immutable_except_caches_and_images_are_scanned(declared: Recording) -> None:
    repository = declared.only("Repository")
    assert repository["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert [f["filter"] for f in repository["imageTagMutabilityExclusionFilters"]] == ["cache-*"]
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert "encryptionConfigurations" not in repository
    assert declared.of("LifecyclePolicy") == []


def test_repository_is_set_as_it_is_configured() -> None:
    key = "arn:aws:kms:eu-west-1:123456789012:key/1"
    config = replace(CONFIG, movable_tags=(), scan_on_push=False, image_kms_key_arn=key, image_lifecycle="{}")
    declared = record(lambda: base(config))
    repository = declared.only("Repository")
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert "imageTagMutabilityExclusionFilters" not in repository
    assert repository["imageScanningConfiguration"] == {"scanOnPush": False}
    assert repository["encryptionConfigurations"] == [{"encryptionType": "KMS", "kmsKey": key}]
    assert declared.only("LifecyclePolicy") == {"policy": "{}", "repository": "vision"}


def test_tables_are_keyed_by_id_and_recoverable_and_only_tasks_are_forgotten(declared: Recording) -> None:
    tables = {table.inputs["name"]: table.inputs for table in declared.of("Table")}
    assert {name: table["hashKey"] for name, table in tables.items()} == {"vision-capctl": "id", "vision-tasks": "id"}
    assert all(table["pointInTimeRecovery"] == {"enabled": True} for table in tables.values())
    assert "ttl" not in tables["vision-capctl"]
    assert tables["vision-tasks"]["ttl"] == {"attributeName": EXPIRY, "enabled": True}


def queues(declared: Recording) -> dict[str, Any]:
    return {queue.inputs["name"]: queue.inputs for queue in declared.of("Queue")}


def test_message_that_fails_three_times_is_kept_longer_than_those_that_wait(declared: Recording) -> None:
    ingest, dead = queues(declared)["vision-ingest"], queues(declared)["vision-dead"]
    redrive = json.loads(ingest["redrivePolicy"])
    assert redrive == {"deadLetterTargetArn": arn_of("Queue", "dead"), "maxReceiveCount": 3}
    assert dead["messageRetentionSeconds"] == 14 * 86_400 > ingest["messageRetentionSeconds"]
    assert ingest["visibilityTimeoutSeconds"] == 360
    source = "arn:aws:sqs:eu-west-1:123456789012:vision-ingest"
    assert json.loads(dead["redriveAllowPolicy"]) == {"redrivePermission": "byQueue", "sourceQueueArns": [source]}


def test_new_videos_are_told_to_the_queue_and_nothing_else_is(declared: Recording) -> None:
    notification = declared.only("BucketNotification")
    assert notification["bucket"] == "Bucket-data"
    (queue,) = notification["queues"]
    assert (queue["queueArn"], queue["events"]) == (arn_of("Queue", "ingest"), ["s3:ObjectCreated:*"])
    assert queue["filterPrefix"] == f"{Folder.VIDEOS}/"


def test_only_the_bucket_of_this_account_sends_to_the_queue(declared: Recording) -> None:
    assert "policy" not in queues(declared)["vision-dead"]
    (statement,) = statements(queues(declared)["vision-ingest"]["policy"])
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": ["sqs:SendMessage"],
        "Resource": ["arn:aws:sqs:eu-west-1:123456789012:vision-ingest"],
        "Condition": {
            "ArnEquals": {"aws:SourceArn": "arn:aws:s3:::vision-data"},
            "StringEquals": {"aws:SourceAccount": "123456789012"},
        },
    }


def test_start_of_a_job_reads_the_one_secret_that_is_configured_and_none_otherwise(declared: Recording) -> None:
    assert "vision-execution" not in [policy.inputs["role"] for policy in declared.of("RolePolicy")]
    with_secret = record(lambda: base(replace(CONFIG, database_secret_arn=SECRET)))
    (policy,) = [one.inputs for one in with_secret.of("RolePolicy") if one.inputs["role"] == "vision-execution"]
    assert [(one["Action"], one["Resource"]) for one in statements(policy["policy"])] == [
        (["secretsmanager:GetSecretValue"], [SECRET])
    ]


_NETWORK_KINDS = ("Vpc", "Subnet", "InternetGateway", "RouteTable", "VpcEndpoint", "SecurityGroup")


def test_network_is_made_only_when_it_is_wanted(declared: Recording) -> None:
    assert [kind for kind in _NETWORK_KINDS if declared.of(kind)] == []


def test_network_has_a_public_subnet_in_each_zone_and_a_way_to_s3() -> None:
    made = record(lambda: base(replace(CONFIG, network=NETWORK)))
    subnets = {one.inputs["availabilityZone"]: one.inputs for one in made.of("Subnet")}
    # An eighth of the network each, by the letter of the zone.
    assert {zone: one["cidrBlock"] for zone, one in subnets.items()} == {
        "eu-west-1a": "10.64.0.0/19",
        "eu-west-1c": "10.64.64.0/19",
    }
    assert all(one["mapPublicIpOnLaunch"] for one in subnets.values())
    assert made.only("RouteTable")["routes"] == [{"cidrBlock": "0.0.0.0/0", "gatewayId": "InternetGateway-network"}]
    assert {one.inputs["subnetId"] for one in made.of("RouteTableAssociation")} == {"Subnet-a", "Subnet-c"}
    endpoint = made.only("VpcEndpoint")
    assert (endpoint["serviceName"], endpoint["vpcEndpointType"]) == ("com.amazonaws.eu-west-1.s3", "Gateway")
    assert endpoint["routeTableIds"] == ["RouteTable-network"]


def test_hosts_of_the_network_call_anybody_and_nobody_calls_them() -> None:
    group = record(lambda: base(replace(CONFIG, network=NETWORK))).only("SecurityGroup")
    assert group["vpcId"] == "Vpc-network"
    assert group["egress"] == [{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}]
    assert "ingress" not in group


def test_another_zone_moves_no_subnet() -> None:
    def blocks(*zones: str) -> dict[str, str]:
        made = record(lambda: base(replace(CONFIG, network=replace(NETWORK, zones=zones))))
        return {one.inputs["availabilityZone"]: one.inputs["cidrBlock"] for one in made.of("Subnet")}

    assert blocks("c", "a").items() <= blocks("a", "b", "c").items()
    assert blocks("a", "a") == blocks("a")


def test_plain_update_takes_the_network_as_a_mapping() -> None:
    wanted = replace(CONFIG, network=NETWORK)
    values = json.dumps({**asdict(wanted), "network": asdict(NETWORK)})
    pulumi.runtime.set_all_config({"capctl:program": "base", "capctl:base": values})
    made = [
        sorted(record(program).resources, key=lambda one: (one.type, one.name))
        for program in (run, lambda: base(wanted))
    ]
    assert made[0] == made[1]


def test_logs_do_not_stay_for_ever(declared: Recording) -> None:
    assert declared.only("LogGroup")["retentionInDays"] == 30


def test_names_come_from_the_configuration(declared: Recording) -> None:
    assert declared.only("Bucket")["bucket"] == "vision-data"
    assert declared.only("Repository")["name"] == "vision"
    assert {role.inputs["name"] for role in declared.of("Role")} == {
        "vision-instance",
        "vision-job",
        "vision-execution",
        "vision-bake",
    }


def test_job_role_has_no_batch_and_deletes_nothing_but_what_a_job_replaces(declared: Recording) -> None:
    (policy,) = [p for p in declared.of("RolePolicy") if p.inputs["role"] == "vision-job"]
    actions = {action for statement in statements(policy.inputs["policy"]) for action in statement["Action"]}
    assert actions == {"dynamodb:UpdateItem", "s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject"}
    (deleting,) = [each for each in statements(policy.inputs["policy"]) if "s3:DeleteObject" in each["Action"]]
    replaced = ("/*/work/*", "/*/analysis_*.jsonl", "/*/result.json", "/*/thumbnails/*.jpg")
    assert all(resource.endswith(replaced) for resource in deleting["Resource"])
    resources = {resource for statement in statements(policy.inputs["policy"]) for resource in statement["Resource"]}
    assert arn_of("Table", "tasks") in resources
    assert f"{arn_of('Bucket', 'data')}/thumbnails/*" in resources
    assert arn_of("Table", "pointers") not in resources


def test_roles_trust_one_service_each(declared: Recording) -> None:
    trusts = {
        role.inputs["name"]: json.loads(role.inputs["assumeRolePolicy"])["Statement"][0]["Principal"]["Service"]
        for role in declared.of("Role")
    }
    assert trusts == {
        "vision-instance": "ec2.amazonaws.com",
        "vision-job": "ecs-tasks.amazonaws.com",
        "vision-execution": "ecs-tasks.amazonaws.com",
        "vision-bake": "ec2.amazonaws.com",
    }


def test_roles_of_another_partition_name_what_is_of_it() -> None:
    declared = record(lambda: base(replace(CONFIG, partition="aws-cn", domain="amazonaws.com.cn")))
    bake = next(role.inputs for role in declared.of("Role") if role.inputs["name"] == "vision-bake")
    assert statements(bake["assumeRolePolicy"])[0]["Principal"] == {"Service": "ec2.amazonaws.com.cn"}
    attached = declared.only("RolePolicyAttachment")["policyArn"]
    assert attached == "arn:aws-cn:iam::aws:policy/AmazonSSMManagedInstanceCore"


def test_bake_profile_lets_session_manager_in_and_nothing_else(declared: Recording) -> None:
    (profile,) = [each.inputs for each in declared.of("InstanceProfile") if each.inputs["name"] == "vision-bake"]
    assert profile["role"] == "vision-bake"
    assert declared.only("RolePolicyAttachment") == {
        "role": "vision-bake",
        "policyArn": "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
    }
    assert "vision-bake" not in [policy.inputs["role"] for policy in declared.of("RolePolicy")]
