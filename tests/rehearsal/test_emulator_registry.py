"""ECR tells what the registry holds."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from lifecycle.rehearsal.emulator.launch import Emulator
from lifecycle.rehearsal.services.registry import RunningRegistry
from tests.rehearsal.emulator_parts import code, faults_of, push
from tests.rehearsal.stage_parts import REGION, Aws, until

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(120)]


def test_push_is_described_at_once_with_its_digest(aws: Aws, registry: RunningRegistry) -> None:
    uri = aws.ecr.create_repository(repositoryName="team/job")["repository"]["repositoryUri"]
    assert uri == f"123456789012.dkr.ecr.{REGION}.amazonaws.com/team/job"
    first = push(registry, "team/job", "v1", b"one")
    (found,) = aws.ecr.describe_images(repositoryName="team/job", imageIds=[{"imageTag": "v1"}])["imageDetails"]
    assert (found["imageDigest"], found["imageTags"], found["imageSizeInBytes"]) == (first, ["v1"], 5)
    second = push(registry, "team/job", "v1", b"two!")
    (found,) = aws.ecr.describe_images(repositoryName="team/job", imageIds=[{"imageTag": "v1"}])["imageDetails"]
    assert found["imageDigest"] == second
    got = aws.ecr.batch_get_image(repositoryName="team/job", imageIds=[{"imageDigest": first}])
    assert [image["imageId"]["imageDigest"] for image in got["images"]] == [first]


def test_push_by_digest_arrives_by_notification(aws: Aws, registry: RunningRegistry) -> None:
    aws.ecr.create_repository(repositoryName="by-digest")
    digest = push(registry, "by-digest", "", b"x")
    listed = until(lambda: aws.ecr.list_images(repositoryName="by-digest")["imageIds"])
    assert [image["imageDigest"] for image in listed] == [digest]


def test_deleted_image_is_gone_from_the_registry(aws: Aws, registry: RunningRegistry) -> None:
    aws.ecr.create_repository(repositoryName="deleted")
    digest = push(registry, "deleted", "v1", b"x")
    aws.ecr.batch_delete_image(repositoryName="deleted", imageIds=[{"imageDigest": digest}])
    assert aws.ecr.list_images(repositoryName="deleted")["imageIds"] == []


def test_deleted_tag_is_gone_and_the_others_stay(aws: Aws, registry: RunningRegistry) -> None:
    aws.ecr.create_repository(repositoryName="tags")
    digests = [push(registry, "tags", tag, b"x") for tag in ("v1", "v2")]
    assert digests[0] == digests[1]
    aws.ecr.batch_delete_image(repositoryName="tags", imageIds=[{"imageTag": "v1"}])
    listed = aws.ecr.list_images(repositoryName="tags")["imageIds"]
    assert listed == [{"imageDigest": digests[0], "imageTag": "v2"}]


def test_image_put_through_ecr_is_tagged_in_the_registry(aws: Aws, registry: RunningRegistry) -> None:
    aws.ecr.create_repository(repositoryName="retag")
    digest = push(registry, "retag", "v1", b"x")
    (image,) = aws.ecr.batch_get_image(repositoryName="retag", imageIds=[{"imageTag": "v1"}])["images"]
    aws.ecr.put_image(repositoryName="retag", imageManifest=image["imageManifest"], imageTag="stable")
    (found,) = aws.ecr.describe_images(repositoryName="retag")["imageDetails"]
    assert (found["imageDigest"], sorted(found["imageTags"])) == (digest, ["stable", "v1"])
    again = {"repositoryName": "retag", "imageManifest": image["imageManifest"], "imageTag": "stable"}
    assert code(aws.ecr.put_image, **again) == "ImageAlreadyExistsException"


def test_moved_tag_leaves_an_untagged_image(aws: Aws, registry: RunningRegistry) -> None:
    aws.ecr.create_repository(repositoryName="moved")
    digests = [push(registry, "moved", "v1", layer) for layer in (b"one", b"two")]
    until(lambda: len(aws.ecr.list_images(repositoryName="moved")["imageIds"]) == 2)
    found = aws.ecr.describe_images(repositoryName="moved")["imageDetails"]
    assert {image["imageDigest"]: image.get("imageTags") for image in found} == {digests[0]: None, digests[1]: ["v1"]}


def test_moved_immutable_tag_is_a_fault(aws: Aws, registry: RunningRegistry, emulator: Emulator) -> None:
    aws.ecr.create_repository(repositoryName="fixed", imageTagMutability="IMMUTABLE")
    for layer in (b"one", b"two"):
        push(registry, "fixed", "v1", layer)
        aws.ecr.list_images(repositoryName="fixed")
    assert [fault for fault in faults_of(emulator) if "fixed:v1" in fault]


def test_push_without_a_repository_is_a_fault(emulator: Emulator, registry: RunningRegistry) -> None:
    push(registry, "nowhere", "v1", b"x")
    until(lambda: [fault for fault in faults_of(emulator) if "no repository `nowhere`" in fault])


def test_preview_is_in_progress_before_it_is_complete_and_tells_what_was_pushed(
    aws: Aws, registry: RunningRegistry
) -> None:
    aws.ecr.create_repository(repositoryName="preview")
    selection = {
        "tagStatus": "tagged",
        "tagPatternList": ["base-*"],
        "countType": "imageCountMoreThan",
        "countNumber": 1,
    }
    policy = json.dumps({"rules": [{"rulePriority": 5, "selection": selection, "action": {"type": "expire"}}]})
    named = {"repositoryName": "preview"}
    assert code(aws.ecr.get_lifecycle_policy_preview, **named) == "LifecyclePolicyPreviewNotFoundException"
    assert code(aws.ecr.start_lifecycle_policy_preview, **named) == "LifecyclePolicyNotFoundException"
    digests = {push(registry, "preview", f"base-{number}", bytes([number])) for number in range(2)}
    started = aws.ecr.start_lifecycle_policy_preview(**named, lifecyclePolicyText=policy)
    again = code(aws.ecr.start_lifecycle_policy_preview, **named, lifecyclePolicyText=policy)
    assert (started["status"], again) == ("IN_PROGRESS", "LifecyclePolicyPreviewInProgressException")
    assert aws.ecr.get_lifecycle_policy_preview(**named)["status"] == "IN_PROGRESS"
    answer = aws.ecr.get_lifecycle_policy_preview(**named)
    assert (answer["status"], answer["summary"]) == ("COMPLETE", {"expiringImageTotalCount": 1})
    (found,) = answer["previewResults"]
    assert found["imageDigest"] in digests
    assert (found["action"], found["appliedRulePriority"]) == ({"type": "EXPIRE"}, 5)


def test_policy_that_ecr_refuses_is_refused(aws: Aws) -> None:
    named = {"repositoryName": "refused", "lifecyclePolicyText": '{"rules": []}' + " " * 100}
    aws.ecr.create_repository(repositoryName="refused")
    for call in (aws.ecr.put_lifecycle_policy, aws.ecr.start_lifecycle_policy_preview):
        assert code(call, **named) == "InvalidParameterException"
    assert code(aws.ecr.get_lifecycle_policy, repositoryName="refused") == "LifecyclePolicyNotFoundException"


def test_token_has_not_expired(aws: Aws) -> None:
    (token,) = aws.ecr.get_authorization_token()["authorizationData"]
    assert token["expiresAt"] > datetime.now(UTC)
