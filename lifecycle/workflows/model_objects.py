"""The files of a model set in the target's bucket."""

from dataclasses import dataclass

from lifecycle.config.target import Target
from lifecycle.domain.models import ModelFile, ModelSet
from lifecycle.ports import Ports
from lifecycle.workflows.parallel import Advance, for_each


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingObject:
    """A file that cannot be taken from the bucket, and why, such as `missing`."""

    file: ModelFile
    why: str


def object_uri(target: Target, file: ModelFile) -> str:
    """Where a file lies in the bucket: under its content's name, so that equal files are stored once and none is overwritten."""
    return f"{target.models_uri}/{file.sha256}"


def distinct(models: ModelSet) -> tuple[ModelFile, ...]:
    """The files of a set, one per content."""
    return tuple({file.sha256: file for file in models.files}.values())


def missing_objects(ports: Ports, target: Target, files: tuple[ModelFile, ...]) -> tuple[MissingObject, ...]:
    """The files whose object is not there, has another size, or was not recorded with their digest."""

    def why_missing(file: ModelFile, _: Advance) -> str:
        stored = ports.objects.find(object_uri(target, file))
        if stored is None:
            return "missing"
        if not stored.sha256:
            return "there, but without a SHA-256 that proves it"
        if stored.sha256 != file.sha256:
            return "there, but with another SHA-256"
        if stored.bytes != file.bytes:
            return f"there, but with {stored.bytes} bytes, and not {file.bytes} as in the lock,"
        return ""

    reasons = for_each(files, why_missing, advance=lambda _: None, workers=8)
    return tuple(MissingObject(file=file, why=why) for file, why in zip(files, reasons, strict=True) if why)
