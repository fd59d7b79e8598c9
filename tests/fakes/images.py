"""`ports.Images` in memory: a registry that holds what was pushed, and a working tree that is a string."""

from dataclasses import dataclass, field

from lifecycle.domain.digest import Digest, digest_of, short
from lifecycle.domain.image import ImageRef
from lifecycle.errors import CapctlError
from lifecycle.ports.images import Budgets, CodeLayer, ImageReport, PushedImage, TaggedImage, Violation

REPOSITORY = "123456789012.dkr.ecr.us-west-2.amazonaws.com/vision"
BUDGETS = Budgets(compressed_bytes=300_000_000, unpacked_bytes=500_000_000)
_BASE_BYTES, _BASE_LAYERS, _BASE_FILES = 1_000, 7, 100


@dataclass(slots=True, kw_only=True)
class FakeImages:
    """`code` and `lock` stand for the working tree; `tags` is the registry; `violations` are what every image breaks."""

    code: str = "print(1)"
    lock: str = "numpy==2"
    tags: dict[str, ImageRef] = field(default_factory=dict)
    builds: int = 0
    violations: tuple[Violation, ...] = ()
    _layers: dict[Digest, CodeLayer] = field(default_factory=dict)

    def base_tag(self) -> str:
        return f"base-{short(digest_of(self.lock.encode()))}"

    def base(self) -> TaggedImage | None:
        ref = self.tags.get(self.base_tag())
        return TaggedImage(ref=ref, tag=self.base_tag()) if ref else None

    def build_base(self) -> TaggedImage:
        if self.base() is None:
            self.builds += 1
            self._put(self.base_tag())
        base = self.base()
        assert base is not None
        return base

    def code_tag(self) -> str:
        return self.code_layer().tag

    def code_layer(self) -> CodeLayer:
        base = self.base()
        if base is None:
            raise CapctlError(
                "base-missing", "The registry does not have the base image", hint="Run `capctl image base`"
            )
        treehash, size = digest_of(f"{base.ref.digest}{self.code}".encode()), len(self.code.encode())
        return CodeLayer(
            treehash=treehash,
            tag=f"code-{short(treehash, 16)}",
            files=1,
            unpacked_bytes=size,
            compressed_bytes=size,
        )

    def push_code(self) -> PushedImage:
        layer = self.code_layer()
        unchanged = layer.tag in self.tags
        ref = self._put(layer.tag)
        self._layers[ref.digest] = layer
        return PushedImage(
            ref=ref,
            tag=layer.tag,
            unchanged=unchanged,
            requests=1 if unchanged else 6,
            bytes_sent=0 if unchanged else layer.compressed_bytes + 900,
        )

    def pushed_code(self) -> TaggedImage:
        tag = self.code_tag()
        if tag not in self.tags:
            raise CapctlError("image-missing", "The registry does not have the code", hint="Run `capctl image push`")
        return TaggedImage(ref=self.tags[tag], tag=tag)

    def inspect(self, ref: ImageRef) -> ImageReport:
        if ref not in self.tags.values():
            raise CapctlError("image-missing", f"The registry does not have `{ref}`", hint="Run `capctl image push`")
        code = self._layers.get(ref.digest)
        return ImageReport(
            ref=ref,
            budgets=BUDGETS,
            compressed_bytes=_BASE_BYTES + (code.compressed_bytes if code else 0),
            unpacked_bytes=_BASE_BYTES + (code.unpacked_bytes if code else 0),
            layers=_BASE_LAYERS + (1 if code else 0),
            files=_BASE_FILES + (code.files if code else 0),
            violations=self.violations,
        )

    def _put(self, tag: str) -> ImageRef:
        return self.tags.setdefault(tag, ImageRef(repository=REPOSITORY, digest=digest_of(tag.encode())))
