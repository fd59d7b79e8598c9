"""The rules for images as a target is configured."""

from lifecycle.config.schema import ImageSection
from lifecycle.domain.image_report import Policy


def image_policy(
    settings: ImageSection, *, packages: frozenset[str] | None = None, runtime_modules: frozenset[str] = frozenset()
) -> Policy:
    """`packages` (`name==version`) are those that an image must hold, and no others; None leaves them unchecked.

    `runtime_modules` are those of the runtime that hosts mount, beside the configured ones.
    """
    rules = settings.rules
    return Policy(
        max_compressed_bytes=settings.budget_compressed_bytes,
        max_unpacked_bytes=settings.budget_unpacked_bytes,
        max_file_bytes=rules.max_file_bytes,
        large_file_globs=rules.large_files,
        model_globs_allowed=rules.model_files,
        code_globs_forbidden=rules.forbidden,
        code_globs_without_secrets=rules.not_secret,
        max_wasted_bytes=rules.max_wasted_bytes,
        max_duplicate_bytes=rules.max_duplicate_bytes,
        allowed_packages=packages,
        runtime_modules=runtime_modules.union(rules.provided_modules),
        mounted_modules=runtime_modules,
    )
