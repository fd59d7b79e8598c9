"""The model set that the source holds."""

from lifecycle.domain.measures import counted
from lifecycle.domain.models import ModelFile, ModelSet, model_set
from lifecycle.domain.runtime import BYTECODE_HEAD, require_lasting_bytecode
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.ports import Ports
from lifecycle.ports.model_source import SourceFile
from lifecycle.workflows.parallel import Advance, for_each


def from_source(ports: Ports, former: ModelSet | None) -> ModelSet:
    """The set that the source holds now. What people wrote about a file, its licence and permitted use, is taken from `former`."""
    listing = ports.model_source.scan()
    if listing.excluded:
        ports.ui.note(f"{counted(len(listing.excluded), 'path')} kept out (`-v` names them)")
        for path in listing.excluded:
            ports.ui.detail(f"kept out: {path}")
    told = {file.path: file for file in former.files} if former else {}
    model_set(tuple(ModelFile(path=file.path, bytes=file.bytes, sha256="") for file in listing.files))
    with ports.ui.progress(
        f"hash {counted(len(listing.files), 'model file')}", sum(file.bytes for file in listing.files)
    ) as bar:

        def hashed(file: SourceFile, advance: Advance) -> ModelFile:
            sha256 = ports.model_source.sha256(file, progress=advance)
            before = told.get(file.path)
            return ModelFile(
                path=file.path,
                bytes=file.bytes,
                sha256=sha256,
                source=file.uri or (before.source if before and before.sha256 == sha256 else ""),
                licence=before.licence if before else "",
                permitted_use=before.permitted_use if before else "",
            )

        # Largest first, so that at the end no big file is left to one core while the others have none.
        files = sorted(listing.files, key=lambda file: file.bytes, reverse=True)
        return model_set(for_each(files, hashed, advance=bar.advance, workers=None))


def look_at_bytecode(ports: Ports, models: ModelSet) -> None:
    """Raise `CapctlError("runtime-invalid")` unless all bytecode of the runtime lasts; the beginning of each file tells that."""
    compiled = models.runtime_bytecode

    def beginning(path: str, advance: Advance) -> bytes:
        advance(0)
        return ports.model_source.beginning(path, BYTECODE_HEAD)

    found = for_each(compiled, beginning, advance=lambda _: None, workers=None)
    require_lasting_bytecode(dict(zip(compiled, found, strict=True)))


def tell_of_other_names(ports: Ports, models: ModelSet) -> None:
    """Say in a note that the source lists other names or sizes than the lock, which is taken as it is. Nothing is read for it.

    A source that is not here, or cannot be listed, tells nothing: whoever takes the lock needs the bucket only.
    """
    try:
        listed = {(file.path, file.bytes) for file in ports.model_source.scan().files}
    except Interrupted:
        raise
    except CapctlError:
        return
    other = sorted({path for path, _ in listed ^ {(file.path, file.bytes) for file in models.files}})
    if listed and other:
        ports.ui.note(
            f"{ports.model_lock.name} is taken as it is: `{ports.model_source.name}` differs from it in {counted(len(other), 'file')} by "
            f"name or size, such as `{other[0]}`; `capctl models lock` takes what is there now"
        )
