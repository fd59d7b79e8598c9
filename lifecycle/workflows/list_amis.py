"""`ami ls` and `ami show`: what was baked."""

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord, AmiStatus
from lifecycle.domain.permissions import READ_AMIS, READ_CHANNEL
from lifecycle.ports import Ports

PERMISSIONS = {"ami ls": READ_AMIS, "ami show": (*READ_AMIS, *READ_CHANNEL)}


def list_amis(ports: Ports, target: Target, *, status: AmiStatus | None = None) -> tuple[AmiRecord, ...]:
    """The AMIs of the target's project, newest first; those of one status when it is given."""
    found = ports.amis.list(target.project)
    return tuple(ami for ami in found if status is None or ami.status == status)


def show_ami(ports: Ports, ami_id: AmiId) -> AmiRecord:
    """One AMI, whoever made it; raises `CapctlError("ami-missing")`."""
    return ports.amis.get(ami_id)
