"""What a push of the code would do, found out without doing it."""

from dataclasses import dataclass

from lifecycle.domain.checkout import Checkout
from lifecycle.domain.digest import Digest
from lifecycle.domain.image import ImageRef, TaggedImage
from lifecycle.domain.measures import counted

# A list of files that nobody reads to its end hides what stands below it.
_MOST_PATHS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeToSend:
    """Bytes of request bodies."""

    layer_bytes: int
    config_bytes: int
    manifest_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.layer_bytes + self.config_bytes + self.manifest_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChanges:
    """Files and links of the code that differ from those of an image; paths as in the working tree, sorted."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def lines(self) -> tuple[str, ...]:
        """How many, then one line per path with `+`, `~` or `-`."""
        marked = [
            f"  {mark} {path}"
            for mark, paths in (("+", self.added), ("~", self.changed), ("-", self.removed))
            for path in paths
        ]
        shown = (
            marked if len(marked) <= _MOST_PATHS else [*marked[:_MOST_PATHS], f"  … {len(marked) - _MOST_PATHS} more"]
        )
        return (f"{len(self.added)} added, {len(self.changed)} changed, {len(self.removed)} removed", *shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushPreview:
    """`known` is what the registry has under the tag; then nothing would be sent.

    `last` is the image of the last push from here, None where none is known. `changes` are those since it, None also where the registry
    does not have it any more. `source` is what the code is.
    """

    treehash: Digest
    tag: str
    files: int
    base: TaggedImage
    known: ImageRef | None
    last: ImageRef | None
    changes: FileChanges | None
    to_send: SizeToSend | None
    source: Checkout

    def details(self) -> tuple[str, ...]:
        """Line by line, for people."""
        return (
            # Without `sha256:`, which would have it cut to the digits by which people tell digests apart.
            f"tree hash {self.treehash.removeprefix('sha256:')}",
            f"{counted(self.files, 'file')} on the base image {self.base.tag}, {self.base.ref.digest}",
            *self._since(),
            self._sending(),
        )

    def _since(self) -> tuple[str, ...]:
        if self.last is None:
            return ("no earlier push is known here, so no files are compared",)
        if self.changes is None:
            return (f"the registry does not have the last image pushed from here any more, {self.last.digest}",)
        counts, *paths = self.changes.lines()
        if not paths:
            same = "" if self.known == self.last else "; the base image or the image's settings are others"
            return (f"no file changed since the last push from here, {self.last.digest}{same}",)
        return (f"since the last push from here, {self.last.digest}: {counts}", *paths)

    def _sending(self) -> str:
        if self.known:
            return f"nothing to send: the registry has it, {self.known.digest}"
        size = self.to_send or SizeToSend(layer_bytes=0, config_bytes=0, manifest_bytes=0)
        parts = f"layer {size.layer_bytes}, config {size.config_bytes}, manifest {size.manifest_bytes}"
        return f"{size.total_bytes} bytes to send: {parts}"
