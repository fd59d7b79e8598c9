"""The shape of the section `image` of `capctl.yaml`."""

from dataclasses import dataclass
from typing import Literal

from lifecycle.config.sections import Section, key
from lifecycle.config.values import (
    MAX_DAYS,
    MAX_KEPT,
    KmsKeyArn,
    MovableTag,
    PythonMinor,
    RepositoryName,
    SitePattern,
    VariableName,
    Word,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBaseSection(Section):
    """How the base image is built."""

    requirements: str = key("requirements.txt", "Locked requirements with hashes, relative to capctl.yaml")
    python: PythonMinor = key("3.12", "Python minor version of `from_image`; a bootstrapped root has its own")
    from_image: str | None = key(
        None,
        "Slim Python image, pinned by digest; absent = a root filesystem bootstrapped from this machine's Debian mirror",
    )
    runtime_contract: str | None = key(
        None,
        "Contract file of the runtime that the AMI brings and the job mounts, relative to capctl.yaml, such as "
        "models/runtime/contract.json; absent = the image holds all that it needs",
    )
    leave_out: tuple[SitePattern, ...] = key(
        (),
        "Patterns of files of the packages to leave out, besides those of docs/images.md; relative to the folder of the packages",
    )
    keep: tuple[SitePattern, ...] = key(
        (),
        "Patterns of files of the packages that stay, whatever leaves them out, such as `botocore/data/kinesis/**`",
    )
    share_ffmpeg: bool = key(
        True,
        "Whether OpenCV uses PyAV's FFmpeg where both bundle the same version and the build proves that it serves; false = each its own, "
        "35 MB more",
    )
    builder: Literal["auto", "buildkit", "classic"] = key(
        "auto",
        "What of the container engine builds it: BuildKit, which needs docker's plugin buildx (or a docker older than 23), or the classic "
        "builder; auto = BuildKit where it is; both give the same files",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRulesSection(Section):
    """What an image may hold; `image push` refuses code, and `image verify` and `deploy` an image, that breaks a rule."""

    max_file_bytes: int = key(20_000_000, "Largest file, in bytes", gt=0)
    large_files: tuple[str, ...] = key(
        ("**/*.so", "**/*.so.*"), "Patterns of files that may be larger, as paths in the image without the first slash"
    )
    model_files: tuple[str, ...] = key(
        (),
        "Patterns of files that look like models and may ship all the same, as paths in the image without the first slash",
    )
    forbidden: tuple[str, ...] = key(
        (),
        "Patterns of code that must not ship, besides src/, tools/, tests/, *.csv, caches and credentials; relative to `root`",
    )
    not_secret: tuple[str, ...] = key(
        (), "Patterns of code in which nothing counts as a secret, such as examples of keys; relative to `root`"
    )
    not_compiled: tuple[str, ...] = key(
        (), "Patterns of Python files of the code that need not compile, such as templates; relative to `root`"
    )
    provided_modules: tuple[str, ...] = key(
        (),
        "Modules that the code may import although the image lacks them, as the host mounts them or the code does without: `torch`, or "
        "`package.module` for one of a package, with all below it",
    )
    max_wasted_bytes: int = key(
        1_000_000, "Most bytes of files that a layer holds and a later one replaces or deletes", ge=0
    )
    max_duplicate_bytes: int = key(1_000_000, "Most bytes of files that an earlier layer holds too", ge=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRetentionSection(Section):
    """Which images `capctl image prune` keeps, whether anything needs them or not; what anything needs it keeps anyway."""

    keep_code: int = key(10, "Newest code images that stay", ge=1, le=MAX_KEPT)
    keep_bases: int = key(2, "Newest base images that stay", ge=1, le=MAX_KEPT)
    min_age_days: int = key(30, "Younger images stay, and those that were pulled so lately, in days", ge=0, le=MAX_DAYS)
    untagged_days: int = key(7, "Younger images without a tag stay, in days", ge=0, le=MAX_DAYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySection(Section):
    """How ECR treats the repository, and what it expires by itself: `capctl bootstrap` sets it, `capctl image policy` shows it."""

    movable_tags: tuple[MovableTag, ...] = key(
        ("cache-*",),
        "Patterns of the tags that may be moved to another image; every other tag is immutable",
        max_length=5,
    )
    scan_on_push: bool = key(True, "Whether ECR scans an image when it arrives")
    kms_key_arn: KmsKeyArn | None = key(
        None,
        "KMS key that encrypts the images, as the ARN that ECR tells of it; ECR's own AES256 when absent. A repository keeps its "
        "encryption for life",
    )
    # ECR asks nobody who needs an image, which `image prune` does. So by default it expires nothing, not even what has no tag: a job
    # definition keeps the digest that a movable tag has left.
    expire_bases_beyond: int | None = key(
        None,
        "ECR itself expires base images (`base-*`) beyond so many newest, whoever needs them; none when absent",
        ge=1,
        le=MAX_KEPT,
    )
    # ECR archives what was not pulled for long, and expires by the age of the push only.
    expire_code_days: int | None = key(
        None,
        "ECR itself expires code images (`code-*`) that no release ever had so many days after their push, whoever needs them; none when "
        "absent",
        ge=1,
        le=MAX_DAYS,
    )
    expire_untagged_days: int | None = key(
        None,
        "ECR itself expires images without a tag so many days after their push, whoever needs them by digest; none when absent",
        ge=1,
        le=MAX_DAYS,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSection(Section):
    """How the code image is made."""

    repository: RepositoryName | None = key(None, "ECR repository, such as `team/job`; the project's name when absent")
    root: str = key(".", "Folder that holds the code, relative to capctl.yaml")
    include: tuple[str, ...] = key(("**/*.py",), "Patterns of the git-tracked files that ship")
    exclude: tuple[str, ...] = key((), "Patterns to leave out of `include`; relative to `root`")
    entrypoint: tuple[Word, ...] = key(
        ("python3", "-m", "analyzer", "batch"), "Entry point, as a list; no shell", min_length=1
    )
    environment: dict[VariableName, str] = key({}, "Environment set in the image")
    budget_compressed_bytes: int = key(300_000_000, "Largest image in the registry, in bytes", gt=0)
    budget_unpacked_bytes: int = key(500_000_000, "Largest image on disk, in bytes", gt=0)
    rules: ImageRulesSection = key(ImageRulesSection(), "What an image may hold, besides its budgets")
    base: ImageBaseSection = key(ImageBaseSection(), "The base image")
    retention: ImageRetentionSection = key(ImageRetentionSection(), "What `image prune` keeps")
    registry: RegistrySection = key(RegistrySection(), "The ECR repository")
