"""What never ships: one list for choosing the code, for judging it and for judging the rest of an image."""

from __future__ import annotations

VERSION_CONTROL = ("**/.git/**", "**/.git", "**/.hg/**", "**/.svn/**")
TOOL_CACHES = ("**/.mypy_cache/**", "**/.ruff_cache/**", "**/.pytest_cache/**", "**/.hypothesis/**")
PACKAGE_CACHES = ("**/.cache/**",)
WHEELS = ("**/*.whl",)
CREDENTIALS = (
    *("**/.aws/credentials", "**/.docker/config.json", "**/.git-credentials", "**/.netrc", "**/.pgpass", "**/.pypirc"),
    *("**/.ssh/id_*", "**/.pulumi/credentials.json", "**/.huggingface/token"),
)
# Distributions ship files of such names rightfully; the code of a job does not.
NEVER_CODE = (
    *("src/**", "tools/**", "tests/**", "**/tests/**", "**/*.csv"),
    *("**/__pycache__/**", "**/*.pyc", "**/*.pyo", "**/.venv/**", "**/*.egg-info/**"),
    *("**/.env", "**/.env.*", "**/.DS_Store"),
    *VERSION_CONTROL,
    *TOOL_CACHES,
    *PACKAGE_CACHES,
    *WHEELS,
    *CREDENTIALS,
)
