"""The files of a model set in the target's bucket."""

from lifecycle.config.target import Target
from lifecycle.domain.models import ModelFile, ModelSet
from lifecycle.ports import Ports
from lifecycle.workflows.parallel import Advance, for_each


def object_uri(target: Target, file: ModelFile) -> str:
    """Where a file lies in the bucket: under its content's name, so that equal files are stored once and none is overwritten."""
    return f"{target.models_uri}/{file.sha256}"


def distinct(models: ModelSet) -> tuple[ModelFile, ...]:
    """The files of a set, one per content."""
    return tuple({file.sha256: file for file in models.files}.values())


def missing_objects(ports: Ports, target: Target, files: tuple[ModelFile, ...]) -> tuple[ModelFile, ...]:
    """The files whose object is not there, has another size, or was recorded with another digest."""

    def lacks(file: ModelFile, _: Advance) -> bool:
        stored = ports.objects.find(object_uri(target, file))
        return stored is None or (stored.bytes, stored.sha256) != (file.bytes, file.sha256)

    absent = for_each(files, lacks, advance=lambda _: None, workers=8)
    return tuple(file for file, is_absent in zip(files, absent, strict=True) if is_absent)
