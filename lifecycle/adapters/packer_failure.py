"""Why a bake failed, told from Packer's output."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lifecycle.adapters.aws.codes import failed_call, kind_in
from lifecycle.errors import CapctlError, TimedOut
from lifecycle.ports.baker import AmiNameTaken
from packer import FAILURE_PREFIX

_TOLD = re.compile(re.escape(FAILURE_PREFIX) + r"(?P<code>[a-z-]+): (?P<subject>.*?): (?P<why>.*)$", re.MULTILINE)
# Where Packer, at its end, repeats what each build ended with. Lines before it are also those of provisioners, of retries and of the
# clean-up; without it no build began, and all lines are Packer's own.
_ENDED = re.compile(r"^Build '[^']*' errored\b", re.MULTILINE)
# Packer's own sentences; what AWS says through Packer is read by `kind_in`.
_NAME_TAKEN = re.compile(r"is used by an existing AMI|already in use by AMI|InvalidAMIName\.Duplicate")
_NO_PLUGIN = re.compile(r"[Uu]nknown source.*amazon-ebs|no plugin installed for|Missing plugins")
_NO_PROFILE = re.compile(r"Couldn't find specified instance profile|Invalid IAM Instance Profile")
_UNREACHABLE = re.compile(r"[Tt]imeout waiting for (?:SSH|ssh|communicator)")
_STATUS = re.compile(r"Script exited with non-zero exit status: (\d+)")
_LAST_LINES = 12


def failure(lines: Sequence[str], *, ami_name: str, region: str, log: Path) -> CapctlError:
    """The error that `lines`, Packer's output as text, give the reason for."""
    text = "\n".join(lines)
    last = tuple(line for line in text.splitlines() if line.strip())[-_LAST_LINES:]
    which = f"AMI `{ami_name}` in {region}"
    see_log = f"Read the whole output in `{log}`"
    if told := _TOLD.search(text):
        return _told_by_provisioner(told["code"], told["subject"], told["why"], which, last, see_log)
    text = _ENDED.split(text)[-1]
    if status := _STATUS.search(text):
        message = f"A provisioner of {which} ended with status {status[1]}"
        return CapctlError("bake-failed", message, hint=see_log, details=last)
    if _NAME_TAKEN.search(text):
        return AmiNameTaken(
            "ami-name-taken",
            f"{which} exists already",
            hint="Run `capctl ami bake` again; it is adopted",
            details=last,
        )
    if kind := kind_in(text):
        return failed_call(kind, f"baking {which}", details=last)
    if _NO_PLUGIN.search(text):
        return CapctlError(
            "packer-plugin-missing",
            "Packer has no Amazon plugin",
            hint="Run `packer init` on `plugins.pkr.hcl` of the `packer` package, as its README shows",
            details=last,
        )
    if _UNREACHABLE.search(text):
        return TimedOut(
            "instance-unreachable",
            f"The instance that bakes {which} was not reached",
            hint="Check `ami.ssh_interface`, `ami.subnet_id` and `ami.instance_profile`",
            details=last,
        )
    message, hint = f"Packer did not make {which}", see_log
    if _NO_PROFILE.search(text):
        message = f"The instance profile to bake {which} with does not exist"
        hint = "Run `capctl bootstrap`, or correct `ami.instance_profile`"
    return CapctlError("bake-failed", message, hint=hint, details=last)


def _told_by_provisioner(
    code: str, subject: str, why: str, which: str, last: tuple[str, ...], see_log: str
) -> CapctlError:
    if code == "payload-mismatch":
        return CapctlError(
            "payload-mismatch",
            f"On the instance, `{subject}` is not what the lock says: {why}; {which} was not made",
            hint="Delete the damaged object below `models/` in the target's bucket, run `capctl models push`, then bake again",
        )
    if code == "model-unreadable":
        return CapctlError(
            "object-missing",
            f"The instance could not download model `{subject}`: {why}; {which} was not made",
            hint="Run `capctl models push`, then bake again",
            details=last,
        )
    return CapctlError("bake-failed", f"`{subject}`: {why}; {which} was not made", hint=see_log, details=last)
