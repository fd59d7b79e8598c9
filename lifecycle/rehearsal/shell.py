"""A person's shell: the lines that take it onto a stage that was kept, and off again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from lifecycle.rehearsal.machine import REHEARSAL_VARIABLE
from lifecycle.rehearsal.stage_folders import path_without_stages, stages_folder

# Variables of the person's own AWS set-up that would win over the stage's.
UNSET = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE")
# What a stage sets besides PATH.
EXPORTED = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_EC2_METADATA_DISABLED",
    "CAPCTL_CONFIG",
    "DATABASE_URL",
    "REGISTRY",
    REHEARSAL_VARIABLE,
)


def enter_lines(environment: Mapping[str, str]) -> str:
    """For `eval`: from there on, every command works on the stage of this environment."""
    exports = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    return "\n".join([f"unset {' '.join(UNSET)}", *exports])


def leave_lines(environment: Mapping[str, str]) -> str:
    """For `eval` in the shell that has `environment`; "" where it is on no stage, or on one that is still up."""
    identifier = environment.get(REHEARSAL_VARIABLE)
    if not identifier or (stages_folder() / identifier).exists():
        return ""
    return f"unset {' '.join(EXPORTED)}\nexport PATH={shlex.quote(path_without_stages(environment))}"
