"""`models push`: upload the locked files, each under the name of its content."""

from dataclasses import dataclass

from lifecycle.config.target import Target
from lifecycle.domain.digest import brief
from lifecycle.domain.measures import counted, size_text
from lifecycle.domain.models import ModelFile
from lifecycle.domain.permissions import READ_OBJECTS, READ_SOURCE
from lifecycle.domain.plan import Plan
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.objects import SourceChanged
from lifecycle.workflows.lookups import locked
from lifecycle.workflows.model_objects import distinct, missing_objects, object_uri
from lifecycle.workflows.parallel import Advance, for_each
from lifecycle.workflows.source_models import tell_of_other_names

PERMISSIONS = {"models push": (*READ_OBJECTS, *READ_SOURCE)}


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadModels:
    """Upload files in parallel; `missing` are those that the bucket lacks."""

    ports: Ports
    target: Target
    missing: tuple[ModelFile, ...]
    permissions: tuple[str, ...] = (*READ_OBJECTS, *READ_SOURCE, "s3:AbortMultipartUpload", "s3:PutObject")

    def describe(self) -> str:
        names = ", ".join(file.path for file in self.missing[:3])
        more = f" and {len(self.missing) - 3} more" if len(self.missing) > 3 else ""
        return f"upload {names}{more} to {self.target.models_uri}"

    def apply(self) -> str:
        total = sum(file.bytes for file in self.missing)
        with self.ports.ui.progress(f"upload {counted(len(self.missing), 'model file')}", total) as bar:
            for_each(self.missing, self._upload, advance=bar.advance)
        return f"{counted(len(self.missing), 'file')}, {size_text(total)}"

    def verify(self, _: str) -> None:
        if left := missing_objects(self.ports, self.target, self.missing):
            raise CapctlError(
                "object-missing",
                f"Model `{left[0].file.path}` is {left[0].why} in `{self.target.models_uri}` after its upload",
                hint=f"Look with `capctl models verify` whether {self.ports.model_lock.name} is right, then run `capctl models push` again",
            )

    def _upload(self, file: ModelFile, advance: Advance) -> None:
        with self.ports.model_source.local_copy(file.path) as local:
            try:
                self.ports.objects.put(local, object_uri(self.target, file), sha256=file.sha256, progress=advance)
            except SourceChanged as error:
                raise CapctlError(
                    "model-changed",
                    f"Model `{file.path}` is not what the lock says: {error.message}",
                    hint="Restore the file, or run `capctl models lock` to accept the change",
                ) from error


def plan_push(ports: Ports, target: Target) -> Plan:
    """A plan that uploads what the bucket lacks of the locked set; empty when it has it all."""
    models = locked(ports)
    tell_of_other_names(ports, models)
    missing = tuple(one.file for one in missing_objects(ports, target, distinct(models)))
    title = f"push model set {brief(models.digest)} to {target.models_uri}"
    if not missing:
        return Plan(title=title, because=f"{counted(len(models.files), 'file')} there, none missing")
    step = UploadModels(ports=ports, target=target, missing=missing)
    return Plan(
        title=title, because=f"{len(missing)} of {counted(len(models.files), 'file')} missing there", steps=(step,)
    )
