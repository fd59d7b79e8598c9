"""`ports.Registry`, `ports.BaseBuilder` and `ports.Code` in memory: a registry, and a working tree that is a dictionary."""

from collections.abc import Iterable

from images.index import FileEntry, LayerIndex
from lifecycle.domain.digest import Digest, canonical_json, digest_of, short
from lifecycle.domain.image import ImageRef, TaggedImage
from lifecycle.domain.image_report import ImageIndex
from lifecycle.errors import CapctlError, UsageError
from lifecycle.ports.code import CodeLayer, PushedImage

REPOSITORY = "123456789012.dkr.ecr.us-west-2.amazonaws.com/vision"
_MANIFEST_BYTES = 900


class FakeImageRegistry:
    """`tags` maps each tag to its image."""

    def __init__(self) -> None:
        self.tags: dict[str, ImageRef] = {}
        self._images: dict[ImageRef, ImageIndex] = {}

    def find(self, tag: str) -> ImageRef | None:
        by_digest = {ref.digest: ref for ref in self._images}
        return self.tags.get(tag) or by_digest.get(Digest(tag))

    def index(self, ref: ImageRef) -> ImageIndex:
        if ref not in self._images and ref.repository != REPOSITORY:
            raise UsageError("repository-foreign", f"Image `{ref}` is of another repository than the target's")
        if ref not in self._images:
            raise CapctlError("image-missing", f"The registry does not have `{ref}`", hint="Run `capctl image push`")
        return self._images[ref]

    def tag(self, ref: ImageRef, tag: str) -> None:
        self.index(ref)
        if self.tags.setdefault(tag, ref) != ref:
            raise CapctlError("tag-immutable", f"Tag `{tag}` is another image's", hint="Choose another tag")

    def refs(self) -> Iterable[ImageRef]:
        """Every image, with a tag or without."""
        return self._images.keys()

    def store(self, tag: str, layers: Iterable[LayerIndex], *, ref: ImageRef | None = None) -> ImageRef:
        """Put an image under a tag."""
        ref = ref or ImageRef(repository=REPOSITORY, digest=digest_of(tag.encode()))
        self.tags[tag] = ref
        self._images[ref] = ImageIndex(digest=ref.digest, media_type="", config={}, layers=tuple(layers))
        return ref


class FakeBaseBuilder:
    """Builds into `registry` what `lock` asks for, one package a line; `builds` counts."""

    def __init__(self, registry: FakeImageRegistry, *, lock: str = "numpy==2") -> None:
        self._registry = registry
        self.lock = lock
        self.builds = 0

    def packages(self) -> frozenset[str]:
        return frozenset(line for line in self.lock.splitlines() if not line.startswith("#"))

    def tag(self) -> str:
        return f"base-{short(digest_of(self.lock.encode()))}"

    def find(self) -> TaggedImage | None:
        ref = self._registry.find(self.tag())
        return TaggedImage(ref=ref, tag=self.tag()) if ref else None

    def required(self) -> TaggedImage:
        if found := self.find():
            return found
        raise CapctlError("base-missing", "The registry does not have the base image", hint="Run `capctl image base`")

    def build(self) -> TaggedImage:
        if found := self.find():
            return found
        self.builds += 1
        folders = [f"{package.replace('==', '-')}.dist-info" for package in sorted(self.packages())]
        files = {f"opt/site/{folder}/METADATA": 100 for folder in folders}
        ref = self._registry.store(self.tag(), [_layer({"usr/bin/python3": 1_000}), _layer(files)])
        return TaggedImage(ref=ref, tag=self.tag())


class FakeCode:
    """`files` is the working tree: text by path."""

    def __init__(self, registry: FakeImageRegistry, base: FakeBaseBuilder) -> None:
        self._registry = registry
        self._base = base
        self.files = {"job.py": "print(1)\n"}

    def tag(self) -> str:
        return self.layer().tag

    def layer(self) -> CodeLayer:
        treehash, layer = digest_of(canonical_json([self._base.required().ref.digest, self.files])), self._layer()
        return CodeLayer(
            treehash=treehash,
            tag=f"code-{short(treehash, 16)}",
            files=len(layer.entries),
            unpacked_bytes=layer.unpacked_bytes,
            compressed_bytes=layer.compressed_bytes,
        )

    def push(self) -> PushedImage:
        layer = self.layer()
        if known := self._registry.find(layer.tag):
            return PushedImage(ref=known, tag=layer.tag, unchanged=True, requests=1, bytes_sent=0)
        below = self._registry.index(self._base.required().ref).layers
        ref = self._registry.store(layer.tag, (*below, self._layer()))
        sent = layer.compressed_bytes + _MANIFEST_BYTES
        return PushedImage(ref=ref, tag=layer.tag, unchanged=False, requests=6, bytes_sent=sent)

    def _layer(self) -> LayerIndex:
        return _layer({f"app/{path}": len(text.encode()) for path, text in self.files.items()})


def _layer(files: dict[str, int]) -> LayerIndex:
    """Of files by path and size in bytes."""
    entries = tuple(
        FileEntry(path=path, kind="file", size_bytes=size_bytes, mode=0o644) for path, size_bytes in files.items()
    )
    total = sum(files.values())
    digest: Digest = digest_of(canonical_json(files))
    return LayerIndex(digest=digest, compressed_bytes=total, unpacked_bytes=total, entries=entries)
