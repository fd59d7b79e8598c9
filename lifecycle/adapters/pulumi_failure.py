"""Why an operation of the Pulumi engine failed, in capctl's terms."""

import re
from collections.abc import Sequence

from pulumi.automation.errors import CommandError, ConcurrentUpdateError

from lifecycle.adapters.aws.codes import Kind, failed_call, kind_in
from lifecycle.config.target import Target
from lifecycle.errors import CapctlError, UsageError

_LABEL = re.compile(r"^(code: -?\d+|stdout:|stderr:)\s*")
# Batch or EC2 looked at a resource and will not have it. Anything else (network, throttling, the state) may pass, what cannot be
# deleted was left by another run, and what the run itself has just made is there though an endpoint does not know it yet.
_REFUSED = re.compile(
    r"^(?!.*\b[Dd]elet)(?!.*(?i:launch ?template|compute ?environment)[^,;]*(?i:not exist|not found))"
    r".*(unexpected state 'INVALID'|\bClientException\b"
    r"|\bInvalid(Parameter(Value|Combination)?|InstanceType|BlockDeviceMapping|UserData\.Malformed"
    r"|AMIID\.(NotFound|Malformed|Unavailable)|(SubnetI[Dd]|SecurityGroupI[Dd]|Group|GroupId|Snapshot|KeyPair)\.(NotFound|Malformed))"
    r"(?![\w.]))",
    re.DOTALL,
)
# Batch goes on to know a queue's relation to its compute environment for up to a minute after the queue is gone.
_RELATED = "found existing JobQueue relationship"
# What the engine says of the whole stack after a resource failed.
_ENDED = "update failed"


def failure_of(error: CommandError, diagnostics: Sequence[str], *, doing: str, target: Target) -> CapctlError:
    """Why the CLI failed while `doing` something, such as "updating stack `x`"; `diagnostics` are the errors that the engine told of.

    The error `may_pass` when AWS refused nothing but a deletion that it will allow a little later.
    """
    what = f"{doing} in {target.region}"
    if isinstance(error, ConcurrentUpdateError):
        return CapctlError(
            "stack-locked",
            f"Another run holds the lock against {what}",
            hint="Wait for it, then run the command again",
        )
    lines = tuple(diagnostics) or _last_lines(str(error))
    if any("incorrect passphrase" in line for line in lines):
        return UsageError(
            "passphrase-wrong",
            f"The passphrase does not open the state of target `{target.name}`",
            hint="Set PULUMI_CONFIG_PASSPHRASE to the one that the state was made with",
        )
    kind = kind_in("\n".join(lines))
    # What a resource names and is not there is a mistake in the resource.
    if kind and kind is not Kind.MISSING:
        return failed_call(kind, what, details=lines)
    return CapctlError(
        "stack-failed",
        f"Pulumi failed while {what}",
        hint="Correct what the lines above name, and run the command again",
        details=lines,
        verdict=any(_REFUSED.search(line) for line in diagnostics),
        may_pass=any(_RELATED in line for line in diagnostics)
        and all(_RELATED in line or line.endswith(_ENDED) for line in diagnostics),
    )


def _last_lines(text: str, count: int = 12) -> tuple[str, ...]:
    """The end of the CLI's answer, without the labels that the Automation API puts around it."""
    lines = [_LABEL.sub("", line.strip()) for line in text.splitlines()]
    return tuple([line for line in lines if line][-count:])
