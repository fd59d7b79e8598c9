"""Image repositories."""

# ruff: noqa: ARG002 - `Resource` fixes the arguments.
import json
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.rehearsal.provider.resource import Properties, Resource, changed, tag_change, tag_list, tag_map
from lifecycle.rehearsal.provider.rules import document, matching, one_of


class Repository(Resource):
    """An ECR repository; one that holds images is not deleted."""

    token = "aws:ecr/repository:Repository"
    applied = frozenset(
        {
            "name",
            "imageTagMutability",
            "imageTagMutabilityExclusionFilters",
            "imageScanningConfiguration",
            "encryptionConfigurations",
            "tags",
        }
    )
    fixed = frozenset({"name", "encryptionConfigurations", "region"})
    rules = (
        matching("name", r"[a-z0-9]([a-z0-9]|[._/-][a-z0-9])+", "the name of an ECR repository"),
        one_of(
            "imageTagMutability",
            "MUTABLE",
            "IMMUTABLE",
            "IMMUTABLE_WITH_EXCLUSION",
            "MUTABLE_WITH_EXCLUSION",
        ),
        one_of("imageTagMutabilityExclusionFilters.filterType", "WILDCARD"),
        one_of("encryptionConfigurations.encryptionType", "AES256", "KMS", "KMS_DSSE"),
    )

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        encryption = {"encryptionConfiguration": one} if (one := _encryption(inputs)) else {}
        made = self._clients["ecr"].create_repository(
            repositoryName=inputs["name"],
            imageScanningConfiguration=inputs.get("imageScanningConfiguration", {"scanOnPush": False}),
            tags=tag_list(inputs.get("tags")),
            **_mutability(inputs),
            **encryption,
        )["repository"]
        return inputs["name"], _repository_computed(made)

    def read(self, resource_id: str) -> Properties | None:
        ecr = self._clients["ecr"]
        try:
            found = ecr.describe_repositories(repositoryNames=[resource_id])["repositories"][0]
            tags = ecr.list_tags_for_resource(resourceArn=found["repositoryArn"])["tags"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "RepositoryNotFoundException":
                return None
            raise
        return {
            "name": found["repositoryName"],
            "imageTagMutability": found["imageTagMutability"],
            "imageTagMutabilityExclusionFilters": found.get("imageTagMutabilityExclusionFilters") or [],
            "imageScanningConfiguration": found["imageScanningConfiguration"],
            "encryptionConfigurations": [found["encryptionConfiguration"]],
            "tags": tag_map(tags),
            **_repository_computed(found),
        }

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        ecr, names = self._clients["ecr"], changed(old, new)
        found = ecr.describe_repositories(repositoryNames=[resource_id])["repositories"][0]
        if names & {"imageTagMutability", "imageTagMutabilityExclusionFilters"}:
            ecr.put_image_tag_mutability(repositoryName=resource_id, **_mutability(new))
        if "imageScanningConfiguration" in names:
            scanning = new.get("imageScanningConfiguration", {"scanOnPush": False})
            ecr.put_image_scanning_configuration(repositoryName=resource_id, imageScanningConfiguration=scanning)
        put, gone = tag_change(old, new)
        if gone:
            ecr.untag_resource(resourceArn=found["repositoryArn"], tagKeys=gone)
        if put:
            ecr.tag_resource(resourceArn=found["repositoryArn"], tags=tag_list(put))
        return _repository_computed(found)

    def delete(self, resource_id: str) -> None:
        try:
            self._clients["ecr"].delete_repository(repositoryName=resource_id)
        except ClientError as error:
            if error.response["Error"]["Code"] != "RepositoryNotFoundException":
                raise

    def replaced_by(self, old: Properties, new: Properties) -> set[str]:
        names = super().replaced_by(old, new)
        return names - {"encryptionConfigurations"} if _encryption(old) == _encryption(new) else names


class LifecyclePolicy(Resource):
    """The lifecycle policy of a repository, whose name is its id; one that changes is replaced.

    ECR gives the rules in the order of their priorities, so a policy reads back as it was written only when it is canonical JSON.
    """

    token = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
    applied = frozenset({"repository", "policy"})
    invented = frozenset()
    fixed = frozenset({"repository", "policy", "region"})
    rules = (document("policy"),)

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        made = self._clients["ecr"].put_lifecycle_policy(
            repositoryName=inputs["repository"], lifecyclePolicyText=_canonical(inputs["policy"])
        )
        return inputs["repository"], {"registryId": made["registryId"]}

    def read(self, resource_id: str) -> Properties | None:
        try:
            found = self._clients["ecr"].get_lifecycle_policy(repositoryName=resource_id)
        except ClientError as error:
            if error.response["Error"]["Code"] in _NO_POLICY:
                return None
            raise
        return {
            "repository": resource_id,
            "policy": _canonical(found["lifecyclePolicyText"]),
            "registryId": found["registryId"],
        }

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        """Only the writing differs: ECR has the policy already."""
        return {}

    def delete(self, resource_id: str) -> None:
        try:
            self._clients["ecr"].delete_lifecycle_policy(repositoryName=resource_id)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _NO_POLICY:
                raise

    def replaced_by(self, old: Properties, new: Properties) -> set[str]:
        names = super().replaced_by(old, new)
        same = "policy" in names and _canonical(old["policy"]) == _canonical(new["policy"])
        return names - {"policy"} if same else names


_NO_POLICY = {"LifecyclePolicyNotFoundException", "RepositoryNotFoundException"}


def _canonical(policy: str) -> str:
    document = json.loads(policy)
    rules = sorted(document["rules"], key=lambda rule: int(rule["rulePriority"]))
    return json.dumps({**document, "rules": rules}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _mutability(inputs: Properties) -> dict[str, Any]:
    filters = inputs.get("imageTagMutabilityExclusionFilters")
    excluded = {"imageTagMutabilityExclusionFilters": filters} if filters else {}
    return {"imageTagMutability": inputs.get("imageTagMutability", "MUTABLE"), **excluded}


def _encryption(inputs: Properties) -> dict[str, str] | None:
    """None where the repository has ECR's own, which is the same as not to say anything."""
    configured = next(iter(inputs.get("encryptionConfigurations") or ()), None)
    return configured if configured and configured.get("encryptionType") != "AES256" else None


def _repository_computed(found: dict[str, Any]) -> Properties:
    return {
        "arn": found["repositoryArn"],
        "repositoryUrl": found["repositoryUri"],
        "registryId": found["registryId"],
    }
