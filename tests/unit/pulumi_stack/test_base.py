"""The base program: closed by default, and each role with the least it needs."""

import json
from dataclasses import replace

import pytest

from lifecycle.domain.layout import Folder
from pulumi_stack.base import base
from pulumi_stack.config import BaseConfig
from tests.unit.pulumi_stack.recorded import Recording, record, statements

# Importing the provider's s3 module defines its deprecated resources too.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

CONFIG = BaseConfig(
    project="vision", bucket="vision-data", repository="vision", table="vision-capctl", log_group="/vision/jobs"
)


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


def test_pointer_table_is_keyed_by_id_and_recoverable(declared: Recording) -> None:
    table = declared.only("Table")
    assert (table["name"], table["hashKey"]) == ("vision-capctl", "id")
    assert table["pointInTimeRecovery"] == {"enabled": True}


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


def test_no_policy_allows_everything_and_only_unscoped_calls_take_a_star(declared: Recording) -> None:
    for policy in declared.of("RolePolicy"):
        for statement in statements(policy.inputs["policy"]):
            assert not [action for action in statement["Action"] if action.endswith("*")]
            if statement["Resource"] == ["*"]:
                assert all(action.startswith(("ecs:", "ecr:GetAuthorizationToken")) for action in statement["Action"])


def test_job_role_has_no_batch_and_no_delete(declared: Recording) -> None:
    (policy,) = [p for p in declared.of("RolePolicy") if p.inputs["role"] == "vision-job"]
    actions = {action for statement in statements(policy.inputs["policy"]) for action in statement["Action"]}
    assert actions == {"s3:GetObject", "s3:PutObject"}


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
