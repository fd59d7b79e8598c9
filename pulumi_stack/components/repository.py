"""The repository of base and code images."""

from pulumi_aws import ecr


def image_repository(name: str, *, repository: str, tags: dict[str, str]) -> ecr.Repository:
    """Tags name content and never move, except those of build caches; images are scanned when they arrive."""
    return ecr.Repository(
        name,
        name=repository,
        image_tag_mutability="IMMUTABLE_WITH_EXCLUSION",
        image_tag_mutability_exclusion_filters=[
            ecr.RepositoryImageTagMutabilityExclusionFilterArgs(filter="cache-*", filter_type="WILDCARD")
        ],
        image_scanning_configuration=ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
        tags=tags,
    )
