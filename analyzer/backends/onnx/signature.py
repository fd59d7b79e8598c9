"""What a network takes and gives: names, shapes and types, as its file has them and as its role needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.backends.onnx.loading import UNLOADABLE_HINT
from analyzer.errors import Mismatch

if TYPE_CHECKING:
    from analyzer.backends.onnx.session import Network

_DTYPES: Mapping[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """An input or output: `shape` has a number where the export fixed it, None where it may vary."""

    name: str
    shape: tuple[int | None, ...]
    dtype: type[np.generic]


def tensor_of(path: Path, found: Any) -> Tensor:
    dtype = _DTYPES.get(found.type)
    if dtype is None:
        raise Mismatch(
            "model-signature",
            f"`{path}` has `{found.name}` of type {found.type}, expected one of {', '.join(_DTYPES)}",
            hint=UNLOADABLE_HINT,
        )
    return Tensor(
        name=found.name, shape=tuple(each if isinstance(each, int) else None for each in found.shape), dtype=dtype
    )


def require_signature(
    network: Network, *, inputs: Sequence[tuple[int | None, ...]], outputs: Sequence[tuple[int | None, ...]]
) -> None:
    """Compare shapes in their order. Raises: Mismatch, naming both."""
    found = [[each.shape for each in side.values()] for side in (network.inputs, network.outputs)]
    wanted = [list(inputs), list(outputs)]
    if not all(
        len(shapes) >= len(patterns) and all(map(fits, shapes, patterns))
        for shapes, patterns in zip(found, wanted, strict=True)
    ) or len(found[0]) != len(inputs):
        raise Mismatch(
            "model-signature",
            f"`{network.path}` has the inputs {_words(found[0])} and outputs {_words(found[1])},"
            f" expected {_words(wanted[0])} and {_words(wanted[1])}",
            hint=UNLOADABLE_HINT,
        )


def fits(shape: tuple[int | None, ...], pattern: tuple[int | None, ...]) -> bool:
    """Whether two shapes can be the same; None, on either side, goes with everything."""
    return len(shape) == len(pattern) and all(
        a is None or b is None or a == b for a, b in zip(shape, pattern, strict=True)
    )


def _words(shapes: Sequence[tuple[int | None, ...]]) -> str:
    return ", ".join("(" + ", ".join("n" if each is None else str(each) for each in shape) + ")" for shape in shapes)
