"""Who would feel it if an AMI could no longer be started."""

from lifecycle.domain.ami import AmiRecord
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports


def uses_of(ports: Ports, ami: AmiRecord) -> tuple[str, ...]:
    """One line per use. Where the releases cannot be read nothing is known, and the error of the look is raised."""
    pointer = ports.pointers.read()
    active = pointer.release_id if pointer else ""
    return tuple(
        f"release `{release.id}`{', which takes the jobs' if release.id == active else ''}"
        for release in ports.stack.releases()
        if release.ami_id == ami.id
    )


def require_no_users(ports: Ports, ami: AmiRecord) -> None:
    """Raise `CapctlError("ami-in-use")` unless nothing uses the AMI, or whatever kept the question from being answered."""
    if uses := uses_of(ports, ami):
        raise CapctlError(
            "ami-in-use",
            f"AMI `{ami.id}` is in use: {uses[0]}",
            hint="Deploy another AMI and let the release go, or pass `--force` to withdraw it from whoever uses it",
            details=uses[1:],
        )
