"""What the instances of bakes reported, kept in the target's bucket."""

import json
from typing import Any

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiRecord
from lifecycle.domain.digest import Digest, canonical_json, digest_of
from lifecycle.domain.evidence import Evidence, parse_evidence, why_no_copy
from lifecycle.domain.layout import Folder
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.ports import Ports
from lifecycle.ports.amis import Amis
from lifecycle.ports.objects import ObjectStore


def keep_evidence(ports: Ports, target: Target, document: dict[str, Any]) -> None:
    """Store what the instance of a bake reported, before there is an AMI that needs it.

    Under its digest, which the AMI and every copy of it carry as a tag; and under the instance, by which an AMI finds it that a
    killed run left without tags.
    """
    data = canonical_json(document) + b"\n"
    for key in (digest_of(data), parse_evidence(document).instance_id):
        ports.objects.write(_evidence_uri(target, key), data)


def read_evidence(amis: Amis, objects: ObjectStore, target: Target, ami: AmiRecord) -> tuple[Evidence, Digest] | None:
    """What the instance that the AMI was made from had reported, and the document's digest; None if there is no report.

    An AMI that has an instance must have that instance's report. EC2 names none for a copy, for which the report counts that its tag
    names, as long as EC2 confirms of which AMI it is one.
    """
    instance_id = amis.source_instance(ami)
    if not instance_id and doubt_of_copy(amis, ami):
        return None
    for key in filter(None, (ami.tags.get(Tag.EVIDENCE), instance_id)):
        try:
            data = b"".join(objects.chunks(_evidence_uri(target, key)))
        except CapctlError as error:
            if error.code not in {"object-missing", "bucket-missing"}:
                raise
            continue
        try:
            evidence = parse_evidence(json.loads(data))
        except Interrupted:
            raise
        except (ValueError, CapctlError):
            continue
        if evidence.instance_id == (instance_id or evidence.instance_id):
            return evidence, digest_of(data)
    return None


def doubt_of_copy(amis: Amis, ami: AmiRecord) -> str:
    """Why EC2 does not confirm that an AMI without instance is a copy of the AMI that its tag names; "" when it does."""
    return why_no_copy(ami, () if ami.source_ami else amis.snapshots(ami.snapshot_ids))


def why_no_evidence(amis: Amis, ami: AmiRecord) -> str:
    """Why `read_evidence` gave none."""
    if amis.source_instance(ami):
        return "no report of the instance it was made from"
    return doubt_of_copy(amis, ami) or "no report of the instance of the AMI it was copied from"


def _evidence_uri(target: Target, key: str) -> str:
    """Where a report is kept, by its digest or by the instance's id."""
    return target.uri(Folder.EVIDENCE, f"{key.removeprefix('sha256:')}.json")
