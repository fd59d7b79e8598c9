"""The repository of base and code images."""

import pulumi
from pulumi_aws import ecr

from pulumi_stack.config import BaseConfig


def image_repository(name: str, config: BaseConfig, *, tags: dict[str, str]) -> ecr.Repository:
    """Tags name content and never move, except the movable ones; what nobody needs any more expires by the lifecycle policy."""
    repository = ecr.Repository(
        name,
        name=config.repository,
        # ECR refuses exclusions without a filter.
        image_tag_mutability="IMMUTABLE_WITH_EXCLUSION" if config.movable_tags else "IMMUTABLE",
        image_tag_mutability_exclusion_filters=[
            ecr.RepositoryImageTagMutabilityExclusionFilterArgs(filter=pattern, filter_type="WILDCARD")
            for pattern in config.movable_tags
        ]
        or None,
        image_scanning_configuration=ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=config.scan_on_push),
        # Not told where it is ECR's own: an existing repository would count as one of another encryption, which replaces it.
        encryption_configurations=[
            ecr.RepositoryEncryptionConfigurationArgs(encryption_type="KMS", kms_key=config.image_kms_key_arn)
        ]
        if config.image_kms_key_arn
        else None,
        tags=tags,
    )
    if config.image_lifecycle:
        ecr.LifecyclePolicy(
            name,
            repository=repository.name,
            policy=config.image_lifecycle,
            # AWS's provider replaces a policy that changes. Deleted after its successor was made, it would take that along: a repository
            # has one.
            opts=pulumi.ResourceOptions(delete_before_replace=True),
        )
    return repository
