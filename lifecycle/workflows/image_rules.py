"""The rules for images as a target is configured."""

from lifecycle.config.image_sections import ImageSection
from lifecycle.domain.image_report import Rules


def image_rules(
    settings: ImageSection, *, packages: frozenset[str] | None = None, runtime_modules: frozenset[str] = frozenset()
) -> Rules:
    """`packages` (`name==version`) are those that an image must hold, and no others; None leaves them unchecked.

    `runtime_modules` are those of the runtime that hosts mount, beside the configured ones.
    """
    rules = settings.rules
    return Rules(
        max_compressed_bytes=settings.budget_compressed_bytes,
        max_unpacked_bytes=settings.budget_unpacked_bytes,
        max_file_bytes=rules.max_file_bytes,
        large_file_globs=rules.large_files,
        model_globs_allowed=rules.model_files,
        code_globs_forbidden=rules.forbidden,
        code_globs_without_secrets=rules.not_secret,
        code_globs_not_compiled=rules.not_compiled,
        max_wasted_bytes=rules.max_wasted_bytes,
        max_duplicate_bytes=rules.max_duplicate_bytes,
        allowed_packages=packages,
        runtime_modules=runtime_modules.union(rules.provided_modules),
        mounted_modules=runtime_modules,
    )
