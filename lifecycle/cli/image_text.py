"""What an image costs, as `image explain` prints it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lifecycle.cli.render import table
from lifecycle.domain.digest import brief
from lifecycle.domain.measures import counted, size_text
from lifecycle.domain.runtime import runtime_text

if TYPE_CHECKING:
    from lifecycle.domain.image_explanation import ExplainedImage, Explanation, LayerCost, WastedFile

# Of an instruction; its beginning and its end tell which one it is.
_MOST_CHARACTERS = 100
_WHY = {
    "deleted": "deleted by",
    "replaced": "replaced by",
    "repeated": "the same content again in",
    "copied": "copy of",
}
_TAKES = {"deleted": "deletes", "replaced": "replaces", "repeated": "repeats"}


def explanation_text(image: ExplainedImage, *, top: int) -> str:
    """Sums, then a table of each kind of thing that costs; at most `top` rows of any but the layers."""
    cost = image.cost
    parts = (
        _sums(image),
        _layers(cost),
        _folders(cost),
        _largest(cost),
        _packages(cost, top),
        _models(cost, top),
        _wasted(cost, top),
    )
    return "\n\n".join(part for part in parts if part)


def _sums(image: ExplainedImage) -> str:
    cost = image.cost
    wasted = f"{size_text(cost.wasted_bytes)} are" if cost.wasted else "nothing is"
    sizes = f"{size_text(cost.unpacked_bytes)} in {counted(len(cost.layers), 'layer')}, {size_text(cost.compressed_bytes)} compressed"
    lines = [
        str(image.ref),
        sizes,
        f"a container sees {counted(cost.files, 'file')} of {size_text(cost.seen_bytes)}; {wasted} wasted",
    ]
    code = [layer for layer in cost.layers if layer.origin == "code"]
    if code and cost.base:
        size = size_text(sum(layer.unpacked_bytes for layer in code))
        lines.append(f"{size} are code, on the base image {brief(cost.base)}")
    if image.python:
        lines.append(f"its Python is {image.python}")
    if image.runtime:
        lines.append(runtime_text(image.runtime))
    if cost.left_out:
        patterns = counted(len(cost.left_out), "pattern")
        lines.append(f"files of packages were left out by {patterns}, all listed by `-o json`")
    lines += [f"libraries of {link.folder} lead to {link.to}" for link in cost.library_links]
    return "\n".join(lines)


def _layers(cost: Explanation) -> str:
    rows = [
        (
            layer.number,
            size_text(layer.unpacked_bytes),
            _share(layer.unpacked_bytes, cost),
            size_text(layer.compressed_bytes),
            layer.files,
            size_text(layer.hidden_bytes + layer.copied_bytes) if layer.hidden_bytes + layer.copied_bytes else "-",
            shortened(layer.made_by) or "-",
            _does(layer),
        )
        for layer in cost.layers
    ]
    header = ("layer", "size", "share", "compressed", "files", "wasted", "made by", "what")
    return table(header, rows, prose=("made by", "what"))


def _does(layer: LayerCost) -> str:
    """What the layer brought, and what it does to the layers below."""
    only = layer.largest if layer.files == 1 else layer.main
    brought = ", ".join(f"{one.path} {size_text(one.size_bytes)}" for one in only)
    return "; ".join(filter(None, (brought, *_taken(layer)))) or "nothing"


def _taken(layer: LayerCost) -> Iterator[str]:
    for fate, verb in _TAKES.items():
        if taken := [one for one in layer.taken if one.fate == fate]:
            layers = f"layer{'s' if len(taken) > 1 else ''} {', '.join(str(one.layer) for one in taken)}"
            # What people do not expect of a deletion.
            frees = ", which frees nothing" if fate == "deleted" else ""
            yield f"{verb} {size_text(sum(one.size_bytes for one in taken))} of {layers}{frees}"


def _folders(cost: Explanation) -> str:
    rows = [
        (
            folder.path,
            size_text(folder.size_bytes),
            _share(folder.size_bytes, cost),
            folder.files,
            _numbers(folder.layers),
        )
        for folder in cost.folders
    ]
    return table(("folder", "size", "share", "files", "layers"), rows) if rows else ""


def _largest(cost: Explanation) -> str:
    rows = [
        (file.path, size_text(file.size_bytes), _share(file.size_bytes, cost), file.layer)
        for file in cost.largest
        if file.size_bytes
    ]
    return table(("largest file", "size", "share", "layer"), rows) if rows else ""


def _packages(cost: Explanation, top: int) -> str:
    rows = [
        (
            f"{package.name} {package.version}",
            size_text(package.size_bytes),
            _share(package.size_bytes, cost),
            package.files,
            ", ".join(map(str, package.layers)),
        )
        for package in cost.packages
    ]
    sizes = [package.size_bytes for package in cost.packages]
    return _cut(("package", "size", "share", "files", "layers"), rows, sizes, top)


def _models(cost: Explanation, top: int) -> str:
    rows = [
        (
            model.path,
            size_text(model.size_bytes),
            model.layer,
            f"content is {model.format}" if model.format else f"suffix {model.suffix}",
            "yes" if model.is_seen else "no",
        )
        for model in cost.models
    ]
    sizes = [model.size_bytes for model in cost.models]
    return _cut(("model file", "size", "layer", "known by", "seen"), rows, sizes, top)


def _wasted(cost: Explanation, top: int) -> str:
    rows = [(file.path, size_text(file.size_bytes), file.layer, _reason(file)) for file in cost.wasted]
    return _cut(("wasted", "size", "layer", "why"), rows, [file.size_bytes for file in cost.wasted], top)


def _reason(file: WastedFile) -> str:
    if file.why == "copied":
        return f"{_WHY[file.why]} {file.of} in layer {file.by}"
    return f"{_WHY[file.why]} layer {file.by}"


def _cut(header: Sequence[str], rows: Sequence[Sequence[object]], sizes: Sequence[int], top: int) -> str:
    """The first `top` rows, and how much the others are; "" for no rows."""
    if not rows:
        return ""
    more = [f"and {len(rows) - top} more, {size_text(sum(sizes[top:]))}"] if len(rows) > top else []
    return "\n".join((table(header, rows[:top], prose=("why",)), *more))


def _share(size_bytes: int, cost: Explanation) -> str:
    """Of the bytes of all layers."""
    share = size_bytes / cost.unpacked_bytes if size_bytes else 0
    return "<1%" if 0 < share < 0.01 else f"{share:.0%}"


def _numbers(layers: Sequence[tuple[int, int]]) -> str:
    return ", ".join(str(number) for number, _ in layers)


def shortened(text: str) -> str:
    """`text` without its middle if it is long."""
    if len(text) <= _MOST_CHARACTERS:
        return text
    half = _MOST_CHARACTERS // 2 - 2
    return f"{text[:half].rstrip()} … {text[-half:].lstrip()}"
