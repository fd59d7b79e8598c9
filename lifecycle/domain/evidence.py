"""Evidence: what the instance of a bake read back from its disk before the snapshot was taken."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lifecycle.domain.ami import AmiRecord, SnapshotRecord
from lifecycle.domain.digest import digest_of
from lifecycle.domain.models import MARKER, ModelFile, ModelSet
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError

SCHEMA = "capctl.bake-evidence/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """`files` and `markers` as they lay below the model root; nothing else lay there."""

    instance_id: str
    files: tuple[ModelFile, ...]
    markers: tuple[ModelFile, ...]

    @property
    def total_bytes(self) -> int:
        """Payload size, without the markers."""
        return sum(file.bytes for file in self.files)


def parse_evidence(document: dict[str, Any]) -> Evidence:
    """Raises `CapctlError("evidence-invalid")`."""
    try:
        if document["schema"] != SCHEMA:
            raise ValueError(f"schema `{document['schema']}`")
        # Reports of earlier bakes do not repeat the marker, which told no terms then.
        listed = document.get("marker", {}).get("files", [])
        return Evidence(
            instance_id=str(document["instance_id"]),
            files=_files(document["files"], {str(item["path"]): item for item in listed}),
            markers=_files(document["markers"], {}),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CapctlError(
            "evidence-invalid", f"What the instance reported cannot be read: {error}", hint="Bake again with `--force`"
        ) from error


def differences(evidence: Evidence, models: ModelSet) -> tuple[str, ...]:
    """What the instance held that the set does not say, and the other way round; empty when they are equal."""
    marker = models.marker()
    markers = (MARKER, *(f"{folder}/{MARKER}" for folder in models.folders))
    sha256 = digest_of(marker).removeprefix("sha256:")
    wanted = {file.path: (file.bytes, file.sha256, file.mode) for file in models.files}
    wanted |= {path: (len(marker), sha256, "0444") for path in markers}
    held = {file.path: (file.bytes, file.sha256, file.mode) for file in (*evidence.files, *evidence.markers)}
    found = []
    for path in sorted(wanted.keys() | held.keys()):
        if path not in held:
            found.append(f"`{path}` is missing")
        elif path not in wanted:
            found.append(f"`{path}` is not in the model set")
        elif held[path] != wanted[path]:
            pairs = zip(("bytes", "sha256", "mode"), held[path], wanted[path], strict=True)
            found.append(f"`{path}` has " + ", ".join(f"{name} {a}, not {b}" for name, a, b in pairs if a != b))
    return tuple(found)


def _files(entries: list[dict[str, Any]], listed: dict[str, dict[str, Any]]) -> tuple[ModelFile, ...]:
    """Files as they were read from the disk, with the terms that the marker there told of them."""
    return tuple(
        ModelFile(
            path=str(item["path"]),
            bytes=int(item["bytes"]),
            sha256=str(item["sha256"]),
            mode=str(item["mode"]),
            licence=str(listed.get(item["path"], {}).get("licence", "")),
            permitted_use=str(listed.get(item["path"], {}).get("permitted_use", "")),
        )
        for item in entries
    )


def why_no_copy(ami: AmiRecord, snapshots: Iterable[SnapshotRecord]) -> str:
    """Why EC2 does not confirm that the AMI is a copy of the one that its tag names, as a phrase; "" when it does.

    Anybody can set the tag. Who wrote the content is told by EC2 alone: with the AMI, or, before it did that, in the descriptions of the
    `snapshots`, which nobody can write for an AMI whose id is not known yet.
    """
    named = ami.tags.get(Tag.COPIED_FROM, "")
    if not named:
        return f"EC2 names no instance that it was made from, and it has no tag `{Tag.COPIED_FROM}`"
    region, _, source = named.rpartition("/")
    told = {(ami.source_region or region, ami.source_ami)}
    if not ami.source_ami:
        told = {(region, one.source_ami if one.ami_id == ami.id else "") for one in snapshots}
    if told == {(region, source)}:
        return ""
    others = sorted(f"{where}/{what}" for where, what in told - {(region, source)} if what)
    return f"its tag says that it is a copy of {named}, EC2 says {f'of {others[0]}' if others else 'nothing of that'}"
