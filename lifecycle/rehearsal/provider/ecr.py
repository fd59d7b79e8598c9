"""Image repositories."""

# ruff: noqa: ARG002 - the protocol `Resource` fixes the arguments.
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.rehearsal.provider.clients import Clients
from lifecycle.rehearsal.provider.resource import Properties, changed, tag_list


class Repository:
    """An ECR repository; one that holds images is not deleted."""

    token = "aws:ecr/repository:Repository"

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        request: dict[str, Any] = {"imageTagMutability": inputs.get("imageTagMutability", "MUTABLE")}
        if filters := inputs.get("imageTagMutabilityExclusionFilters"):
            request["imageTagMutabilityExclusionFilters"] = filters
        made = self._clients["ecr"].create_repository(
            repositoryName=inputs["name"],
            imageScanningConfiguration=inputs.get("imageScanningConfiguration", {"scanOnPush": False}),
            tags=tag_list(inputs.get("tags")),
            **request,
        )["repository"]
        return inputs["name"], _repository_computed(made)

    def read(self, resource_id: str) -> Properties | None:
        try:
            found = self._clients["ecr"].describe_repositories(repositoryNames=[resource_id])["repositories"][0]
        except ClientError as error:
            if error.response["Error"]["Code"] == "RepositoryNotFoundException":
                return None
            raise
        return {
            "name": found["repositoryName"],
            "imageTagMutability": found["imageTagMutability"],
            "imageScanningConfiguration": found["imageScanningConfiguration"],
            **_repository_computed(found),
        }

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        ecr = self._clients["ecr"]
        ecr.put_image_tag_mutability(repositoryName=resource_id, imageTagMutability=new["imageTagMutability"])
        ecr.put_image_scanning_configuration(
            repositoryName=resource_id, imageScanningConfiguration=new["imageScanningConfiguration"]
        )
        return _repository_computed(ecr.describe_repositories(repositoryNames=[resource_id])["repositories"][0])

    def delete(self, resource_id: str) -> None:
        try:
            self._clients["ecr"].delete_repository(repositoryName=resource_id)
        except ClientError as error:
            if error.response["Error"]["Code"] != "RepositoryNotFoundException":
                raise

    def replaced_by(self, old: Properties, new: Properties) -> set[str]:
        return changed(old, new) & {"name", "encryptionConfigurations"}


def _repository_computed(found: dict[str, Any]) -> Properties:
    return {
        "arn": found["repositoryArn"],
        "repositoryUrl": found["repositoryUri"],
        "registryId": found["registryId"],
    }
