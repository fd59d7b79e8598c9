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
_LOGIN_REFUSED = re.compile(r"authentication error when trying to connect via SSH|ssh: handshake failed")
_REACH = "Check `ami.ssh_interface`, `ami.ssh_port`, `ami.ssh_username`, `ami.subnet_ids` and `ami.instance_profile`"
_STATUS = re.compile(r"Script exited with non-zero exit status: (\d+)")
# The AMI is pending for longer than the template allows; Packer leaves it to its fate. The second is what newer plugins say.
_NOT_READY = re.compile(r"Error waiting for AMI: (?s:.*)(?:exceeded wait attempts|exceeded max wait time)")
_AMI = re.compile(r"^AMI: (ami-[0-9a-z]+)$", re.MULTILINE)
# What Packer says after each failure, and the head of a line that repeats what another one says.
_CHATTER = re.compile(
    r"Wait completed after |Builds finished but no artifacts|Some builds didn't complete|Terminating the source AWS instance"
    r"|Cleaning up any extra volumes|No volumes to clean up|Deleting temporary (?:security group|keypair)"
)
_REPEATED = re.compile(r"^Build '[^']*' errored[^:]*: |^Error: ")
# One provisioner's output stands between these.
_PROVISIONER = re.compile(r"^Provisioning with shell script: (?:.*/)?(?P<name>[^/]*)$")
_PROVISIONED = "Provisioning step had errors"
_LAST_LINES = 12
_LAST_PROVISIONER_LINES = 30


def failure(lines: Sequence[str], *, ami_name: str, region: str, log: Path) -> CapctlError:
    """The error that `lines`, Packer's output as text, give the reason for."""
    text = "\n".join(lines)
    told_lines = [line for line in text.splitlines() if line.strip()]
    last = _last_said(told_lines)
    provisioner, output = _last_provisioner(told_lines)
    which = f"AMI `{ami_name}` in {region}"
    see_log = f"Read the whole output in `{log}`"
    if told := _TOLD.search(text):
        return _told_by_provisioner(told["code"], told["subject"], told["why"], which, output, see_log)
    made, text = _AMI.search(text), _ENDED.split(text)[-1]
    if status := _STATUS.search(text):
        message = f"Provisioner `{provisioner}` of {which} ended with status {status[1]}"
        return CapctlError("bake-failed", message, hint=see_log, details=output)
    if _NOT_READY.search(text):
        return TimedOut(
            "ami-pending",
            f"AWS did not finish {which}{f', `{made[1]}`,' if made else ''} while Packer waited",
            hint="Run the same command again; it goes on waiting and bakes nothing anew",
            details=last,
        )
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
            hint=_REACH,
            details=last,
        )
    if _LOGIN_REFUSED.search(text):
        return TimedOut(
            "instance-unreachable",
            f"The instance that bakes {which} let nobody in by ssh",
            hint="Set `ami.ssh_username` to the user of the base AMI who may log in, and check `ami.ssh_port` and `ami.ssh_interface`",
            details=last,
        )
    message, hint = f"Packer did not make {which}", see_log
    if _NO_PROFILE.search(text):
        message = f"The instance profile to bake {which} with does not exist"
        hint = "Run `capctl bootstrap`, or correct `ami.instance_profile`"
    return CapctlError("bake-failed", message, hint=hint, details=last)


def timed_out(error: CapctlError, *, phase: str, log: Path) -> CapctlError:
    """A timeout of Packer, with the phase of the bake in which it came."""
    hint = _REACH if phase.startswith("Waiting for SSH") else "Raise `ami.timeout_s` if that only needs longer"
    message = f"{error.message}; its last phase is `{phase}`" if phase else error.message
    return type(error)(error.code, message, hint=f"{hint}; the whole output is in `{log}`", details=error.details)


def _last_said(lines: Sequence[str]) -> tuple[str, ...]:
    """The last lines, each sentence once, where it came last, and without what Packer says after every failure."""
    said = {_REPEATED.sub("", line): None for line in reversed(lines) if not _CHATTER.match(line)}
    return tuple(reversed(list(said)[:_LAST_LINES]))


def _last_provisioner(lines: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The script that ran last, and the end of its output; without one, the end of all that was said."""
    starts = [number for number, line in enumerate(lines) if _PROVISIONER.match(line)]
    if not starts:
        return "shell", tuple(lines[-_LAST_LINES:])
    ended = (number for number in range(starts[-1], len(lines)) if lines[number].startswith(_PROVISIONED))
    output = lines[starts[-1] + 1 : next(ended, len(lines))]
    name = _PROVISIONER.match(lines[starts[-1]])
    return name["name"] if name else "", tuple(output[-_LAST_PROVISIONER_LINES:])


def _told_by_provisioner(
    code: str, subject: str, why: str, which: str, output: tuple[str, ...], see_log: str
) -> CapctlError:
    if code == "payload-mismatch":
        return CapctlError(
            "payload-mismatch",
            f"On the instance, `{subject}` is not what the lock says: {why}; {which} was not made",
            hint="Delete the damaged object below `models/` in the target's bucket, run `capctl models push`, then bake again",
            details=output,
        )
    if code == "model-unreadable":
        return CapctlError(
            "object-missing",
            f"The instance could not download model `{subject}`: {why}; {which} was not made",
            hint="Run `capctl models push`, then bake again",
            details=output,
        )
    return CapctlError("bake-failed", f"`{subject}`: {why}; {which} was not made", hint=see_log, details=output)
