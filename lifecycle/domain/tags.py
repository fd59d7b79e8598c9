"""The tags by which capctl knows what is its own."""

from enum import StrEnum


class Tag(StrEnum):
    """Tag keys on AMIs, their snapshots, the instances that bake them, and jobs."""

    BAKE_DIGEST = "capctl:bake-digest"
    MODEL_SET = "capctl:model-set"
    RUNTIME_CONTRACT = "capctl:runtime-contract"
    BASE_AMI = "capctl:base-ami"
    RECIPE = "capctl:recipe"
    GIT = "capctl:git"
    MADE_BY = "capctl:made-by"
    RUN = "capctl:run"
    RUN_UNTIL = "capctl:run-until"
    RELEASE = "capctl:release"
    PURPOSE = "capctl:purpose"
    REPLACES = "capctl:replaces"
    STATUS = "capctl:status"
    PROJECT = "capctl:project"
    EVIDENCE = "capctl:evidence"
    VERIFIED = "capctl:verified"
    COPIED_FROM = "capctl:copied-from"
    DISABLED_AT = "capctl:disabled-at"
    DISABLED_BY = "capctl:disabled-by"


# What every baked AMI carries, also those of earlier versions; a tree without git gives no `Tag.GIT`.
REQUIRED_TAGS = (
    Tag.BAKE_DIGEST,
    Tag.MODEL_SET,
    Tag.BASE_AMI,
    Tag.RECIPE,
    Tag.RUN,
    Tag.STATUS,
    Tag.PROJECT,
    Tag.EVIDENCE,
)
