"""The JSON documents of `capctl image`, under the same rules as those of `documents.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lifecycle.cli.documents import Document

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.domain.checkout import Checkout
    from lifecycle.domain.image import ImageRef
    from lifecycle.domain.image_content import LocalImage
    from lifecycle.domain.image_difference import ComparedImages, FileState, LayerOf, Side, ValueChange
    from lifecycle.domain.image_explanation import ExplainedImage, FolderCost, LayerCost


def image_layout(folder: Path, image: LocalImage, *, source: Checkout, run: Sequence[str], changed: bool) -> Document:
    """An image in a layout; `digest` is the one that a push would give it, `run` the command line once it is loaded, as words."""
    return {
        "layout": str(folder),
        "tag": image.tag,
        "digest": image.content.digest,
        "bytes": image.content.size_bytes,
        "changed": changed,
        "commit": source.commit,
        "uncommitted": list(source.uncommitted),
        "untracked": list(source.untracked),
        "run": list(run),
    }


def image_load(image: LocalImage, image_id: str, *, run: Sequence[str], changed: bool) -> Document:
    """An image in the engine; `id` is the engine's, `digest` that of the registry, `run` the command line that runs it, as words."""
    return {
        "name": image.name,
        "id": image_id,
        "digest": image.content.digest,
        "changed": changed,
        "run": list(run),
    }


def image_explanation(image: ExplainedImage) -> Document:
    """What an image costs and why. Layers count from 1, the lowest; `bytes` are unpacked, and those of a folder and of a package are
    what a container sees.

    `origin` of a layer is `base`, `code`, or `null` in an image that `capctl image push` did not make. `instruction` is as the builder
    wrote it, `made_by` as its author did, `null` where the image does not tell. `wasted_bytes` of its files are hidden by later layers
    (`hidden_bytes`) or copies of what a lower layer has (`copied_bytes`); `taken` is what it hides itself, which frees nothing. `main` are
    the folders that tell best what it brought, `folders` and `largest` its largest folders and files.

    `folders` (in the order of a tree) and `largest` (files) are at most `--top`; `packages`, `models` and `wasted` are all, the largest
    first. A package that is not `recorded` has no `RECORD`, and only what bears its name is counted. `why` is `deleted`, `replaced`,
    `repeated` with the same content, or `copied`: the layer `by` did it, or has the file `of` which it is a copy of.

    `python` is the minor version of its Python, and `runtime_contract` the digest (hex) of the runtime's contract that its jobs need on
    their AMI; `null` where the image tells none.

    `left_out` and `kept` are the patterns by which the build of the base left files of its packages out, relative to their folder, and
    `kept` those that stayed all the same. `library_links` are folders of bundled libraries some of which lead to another package's.
    """
    cost = image.cost
    return {
        "image": str(image.ref),
        "base": cost.base or None,
        "python": image.python or None,
        "runtime_contract": image.runtime.sha256 if image.runtime else None,
        "bytes": cost.unpacked_bytes,
        "compressed_bytes": cost.compressed_bytes,
        "seen_bytes": cost.seen_bytes,
        "wasted_bytes": cost.wasted_bytes,
        "files": cost.files,
        "layers": [_layer(layer) for layer in cost.layers],
        "folders": [
            {**_folder(folder), "layers": [{"layer": number, "bytes": size_bytes} for number, size_bytes in folder.layers]}
            for folder in cost.folders
        ],
        "largest": [{"path": file.path, "bytes": file.size_bytes, "layer": file.layer} for file in cost.largest],
        "packages": [
            {"name": package.name, "version": package.version, "folder": package.folder, "bytes": package.size_bytes,
             "files": package.files, "layers": list(package.layers), "recorded": package.is_recorded}
            for package in cost.packages
        ],
        "models": [
            {"path": model.path, "bytes": model.size_bytes, "layer": model.layer, "format": model.format or None,
             "suffix": model.suffix or None, "seen": model.is_seen}
            for model in cost.models
        ],
        "wasted": [
            {"path": file.path, "bytes": file.size_bytes, "layer": file.layer, "why": file.why, "by": file.by, "of": file.of or None}
            for file in cost.wasted
        ],
        "left_out": list(cost.left_out),
        "kept": list(cost.kept),
        "library_links": [{"folder": link.folder, "to": link.to} for link in cost.library_links],
    }  # fmt: skip


def image_diff(images: ComparedImages) -> Document:
    """What a container of image `b` sees and one of `a` does not, and the other way round; `bytes` are those that it sees.

    `files`, `packages` and `settings` name what is not the same, `null` where it is not there at all; a folder is told only if its mode
    is another one. The images are `equal` when no file and no setting differs. Owners and times are not compared. `download_bytes` are
    those of the compressed layers that a host with `a` must fetch for `b`.
    """
    found = images.found
    kinds = [change.change for change in found.files]
    return {
        "equal": found.is_equal,
        "a": _side(images.before, found.before),
        "b": _side(images.after, found.after),
        "layers": {
            "shared": found.shared_layers,
            "shared_bytes": found.shared_bytes,
            "only_a": [_only(layer) for layer in found.only_before],
            "only_b": [_only(layer) for layer in found.only_after],
            "download_bytes": found.download_bytes,
        },
        "settings": [_change(change) for change in found.settings],
        "packages": [_change(change) for change in found.packages],
        "files": [
            {"path": change.path, "change": change.change, "a": _state(change.before), "b": _state(change.after)}
            for change in found.files
        ],
        "sums": {kind: kinds.count(kind) for kind in ("added", "removed", "changed")},
    }


def _layer(layer: LayerCost) -> Document:
    return {
        "number": layer.number,
        "digest": layer.digest,
        "origin": layer.origin or None,
        "instruction": layer.instruction or None,
        "made_by": layer.made_by or None,
        "bytes": layer.unpacked_bytes,
        "compressed_bytes": layer.compressed_bytes,
        "files": layer.files,
        "hidden_bytes": layer.hidden_bytes,
        "copied_bytes": layer.copied_bytes,
        "wasted_bytes": layer.hidden_bytes + layer.copied_bytes,
        "taken": [{"layer": one.layer, "why": one.fate, "bytes": one.size_bytes} for one in layer.taken],
        "main": [_folder(folder) for folder in layer.main],
        "folders": [_folder(folder) for folder in layer.folders],
        "largest": [{"path": file.path, "bytes": file.size_bytes} for file in layer.largest],
    }


def _folder(folder: FolderCost) -> Document:
    return {"path": folder.path, "bytes": folder.size_bytes, "files": folder.files}


def _side(ref: ImageRef, side: Side) -> Document:
    return {
        "image": str(ref),
        "layers": side.layers,
        "compressed_bytes": side.compressed_bytes,
        "unpacked_bytes": side.unpacked_bytes,
        "files": side.files,
        "bytes": side.seen_bytes,
    }


def _only(layer: LayerOf) -> Document:
    return {
        "number": layer.number,
        "digest": layer.digest,
        "made_by": layer.made_by or None,
        "bytes": layer.unpacked_bytes,
        "compressed_bytes": layer.compressed_bytes,
    }


def _change(change: ValueChange) -> Document:
    return {"name": change.name, "a": change.before or None, "b": change.after or None}


def _state(state: FileState | None) -> Document | None:
    if state is None:
        return None
    return {
        "kind": state.kind,
        "bytes": state.size_bytes,
        "mode": f"{state.mode:04o}",
        "sha256": state.sha256 or None,
        "link": state.link or None,
    }
