"""A picture file as a vector: in the space of the results that are searched, by the model that made their vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.contract import ModelRequest
from analyzer.errors import InputUnreadable, Mismatch, RequestInvalid

if TYPE_CHECKING:
    from analyzer.backends.base import Embedder, Pixels
    from analyzer.store.search import Maker, Vector


def embedded(path: Path, *, space: str | None, makers: Sequence[Maker], request: ModelRequest) -> tuple[str, Vector]:
    """The space and the vector of the picture at `path`; `space` None means the one that all of `makers` share.

    Raises: InputUnreadable, for what is no picture; RequestInvalid, where the space is open; Mismatch, where nothing that `request` names
    makes vectors of the space, or other weights would than made those of `makers`.
    """
    picture = _read(path)
    embedder = _load(_space(space, makers), request)
    _require_same_weights(embedder, makers)
    return embedder.space, embedder.embed([picture])[0]


def _read(path: Path) -> Pixels:
    import cv2
    import numpy as np

    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputUnreadable("picture-unreadable", f"`{path}` cannot be read: {error.strerror or error}") from error
    picture = cv2.imdecode(np.frombuffer(content or b"\0", np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise InputUnreadable("picture-unreadable", f"`{path}` is no picture that can be decoded")
    return np.asarray(picture, np.uint8)


def _space(space: str | None, makers: Sequence[Maker]) -> str:
    from analyzer.backends.appearance import AppearanceEmbedder

    known = sorted({maker.space for maker in makers}) or [AppearanceEmbedder.space]
    if space is None and len(known) > 1:
        names = ", ".join(f"`{each}`" for each in known)
        raise RequestInvalid("space-open", f"There are embeddings in {names}", hint="Choose with `--space`")
    return space or known[0]


def _load(space: str, request: ModelRequest) -> Embedder:
    from analyzer.backends.appearance import AppearanceEmbedder

    # Needs no weights: no mounted model is hashed for it.
    if space == AppearanceEmbedder.space:
        return AppearanceEmbedder()
    from analyzer.backends.choose import choose_embedder
    from analyzer.manifest import check_model_set

    embedder = choose_embedder(check_model_set(request.model_root, expected=request.model_set), request.models)
    if embedder.space != space:
        raise Mismatch(
            "space-without-model",
            f"What is mounted below `{request.model_root}` puts pictures into the space `{embedder.space}`, not into `{space}`",
            hint="Name the model set of the searched results with `--model-root`, or search by a track of that space",
        )
    return embedder


def _require_same_weights(embedder: Embedder, makers: Sequence[Maker]) -> None:
    from analyzer.store.search import weights_of

    mounted = weights_of(embedder.description)
    for maker in makers:
        if maker.space == embedder.space and dict(maker.weights) != mounted:
            raise Mismatch(
                "space-of-other-weights",
                f"The vectors of the session `{maker.session_id}` in the space `{maker.space}` were made by the weights "
                f"{_digests(maker.weights)}, and the mounted ones are {_digests(mounted)}",
                hint="Mount the model set that made them, or ask with `--session` for sessions of the mounted one",
            )


def _digests(weights: Mapping[str, str]) -> str:
    return ", ".join(f"`{role}` {digest}" for role, digest in sorted(weights.items())) or "of no file"
