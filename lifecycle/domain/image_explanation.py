"""What an image costs and why."""

from dataclasses import dataclass

from images.explain import Explanation, LayerCost, ModelCost, WastedFile, explain
from images.folders import FolderCost
from images.index import ImageIndex
from lifecycle.domain.image import ImageRef
from lifecycle.domain.runtime import WantedRuntime, wanted_runtime

__all__ = ["ExplainedImage", "Explanation", "FolderCost", "LayerCost", "ModelCost", "WastedFile", "explained"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedImage:
    """An image, what it costs, its Python's minor version, "" where it tells none, and the runtime that it wants of its host."""

    ref: ImageRef
    cost: Explanation
    python: str = ""
    runtime: WantedRuntime | None = None


def explained(ref: ImageRef, index: ImageIndex, *, top: int, depth: int | None) -> ExplainedImage:
    """Explain an image: at most `top` folders and files, the folders at most `depth` names deep; None means as deep as the bytes are."""
    return ExplainedImage(
        ref=ref,
        cost=explain(index, top=top, depth=depth),
        python=".".join(map(str, index.python or ())),
        runtime=wanted_runtime(index.config),
    )
