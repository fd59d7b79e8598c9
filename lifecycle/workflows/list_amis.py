"""`ami ls` and `ami show`: what was baked."""

from typing import Any

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiRecord, AmiStatus, Tag
from lifecycle.domain.permissions import READ_AMIS
from lifecycle.ports import Ports

PERMISSIONS = {"ami ls": READ_AMIS, "ami show": READ_AMIS}


def list_amis(ports: Ports, target: Target, *, status: AmiStatus | None = None) -> tuple[AmiRecord, ...]:
    """The AMIs of the target's project, newest first; those of one status when it is given."""
    found = ports.amis.list(target.project)
    return tuple(ami for ami in found if status is None or ami.status == status)


def ami_document(ami: AmiRecord) -> dict[str, Any]:
    """An AMI as the JSON documents show it; `null` stands for what an AMI that capctl did not bake lacks."""
    return {
        "id": ami.id,
        "name": ami.name,
        "state": ami.state,
        "status": ami.status,
        "created": ami.created,
        "architecture": ami.architecture,
        "size_gib": ami.size_gib,
        "snapshot_ids": list(ami.snapshot_ids),
        "imds_v2": ami.imds_v2,
        "bake_digest": ami.tags.get(Tag.BAKE_DIGEST),
        "model_set": ami.tags.get(Tag.MODEL_SET),
        "base_ami": ami.tags.get(Tag.BASE_AMI),
        "recipe": ami.tags.get(Tag.RECIPE),
        "evidence": ami.tags.get(Tag.EVIDENCE),
        "git": ami.tags.get(Tag.GIT),
        "run": ami.tags.get(Tag.RUN),
    }
