"""ONNX networks with the signatures of the real ones, small and deterministic: what they give is a function of the pixels they got.

A fake leaves the pixels in its answer, so that a test can compare them with its own arithmetic, or turns a mean of them into a number.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from analyzer.backends.onnx.session import Network

Shape = Sequence[int | str]
FLOAT, HALF, INT64, TEXT = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64, TensorProto.STRING

YOLO_METADATA = {"names": "{0: 'person', 1: 'face'}", "stride": "32", "imgsz": "[64, 96]", "task": "detect"}
MIVOLO_METADATA = {"min_age": "1", "max_age": "95", "avg_age": "48.0", "input_size": "24"}

# A language of ten words; 0 ends a text, 7 stands for a picture.
WORDS = ("<end>", "a", "b", "c", "d", "e", "f", "<image>", "g", "h")
END, IMAGE, HIDDEN, PICTURE_TOKENS, PICTURE_SIDE = 0, 7, 10, 3, 16


def save(
    path: Path,
    nodes: Iterable[Any],
    inputs: Mapping[str, tuple[int, Shape]],
    outputs: Mapping[str, tuple[int, Shape]],
    *,
    constants: Mapping[str, Any] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    graph = helper.make_graph(
        list(nodes),
        "fake",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()],
    )
    # ONNX Runtime reads older versions than the `onnx` package writes by default.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    helper.set_model_props(model, dict(metadata or {}))
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def echo(path: Path, shape: Shape, *, kind: int = FLOAT) -> Path:
    """Gives back what it gets."""
    node = helper.make_node("Identity", ["images"], ["seen"])
    return save(path, [node], {"images": (kind, shape)}, {"seen": (kind, shape)})


def yolo(
    path: Path, boxes: np.ndarray, *, batch: int | str = "batch", metadata: Mapping[str, str] = YOLO_METADATA
) -> Path:
    """Boxes (channels, anchors), their scores times the mean of the red channel: a black picture has no people in it."""
    classes, anchors = boxes.shape[0] - 4, boxes.shape[1]
    return save(
        path,
        [
            helper.make_node("Gather", ["images", "zero"], ["red"], axis=1),
            helper.make_node("ReduceMean", ["red"], ["mean"], axes=[1, 2], keepdims=1),
            helper.make_node("Mul", ["scores", "mean"], ["scaled"]),
            helper.make_node("Mul", ["mean", "none"], ["nothing"]),
            helper.make_node("Add", ["places", "nothing"], ["placed"]),
            helper.make_node("Concat", ["placed", "scaled"], ["output0"], axis=1),
        ],
        {"images": (FLOAT, [batch, 3, "height", "width"])},
        {"output0": (FLOAT, [batch, 4 + classes, anchors])},
        constants={
            "zero": np.array(0, np.int64),
            "none": np.array(0, np.float32),
            "scores": boxes[None, 4:].astype(np.float32),
            "places": boxes[None, :4].astype(np.float32),
        },
        metadata=metadata,
    )


def mivolo(path: Path, *, side_px: int = 24, metadata: Mapping[str, str] = MIVOLO_METADATA) -> Path:
    """Logits: the mean of the face's red channel and of the body's; raw age: the mean of the body's blue one."""
    picks = np.zeros((6, 3), np.float32)
    picks[0, 0], picks[3, 1], picks[5, 2] = 1, 1, 1
    return save(
        path,
        [
            helper.make_node("ReduceMean", ["input"], ["means"], axes=[2, 3], keepdims=0),
            helper.make_node("MatMul", ["means", "picks"], ["output"]),
        ],
        {"input": (FLOAT, ["n", 6, side_px, side_px])},
        {"output": (FLOAT, ["n", 3])},
        constants={"picks": picks},
        metadata=metadata,
    )


def mebow(path: Path, *, last: str = "Softmax") -> Path:
    """The sector of the brightest channel: red 0, green 1, blue 2, each ten times the channel's mean."""
    picks = np.zeros((3, 72), np.float32)
    picks[0, 0], picks[1, 1], picks[2, 2] = 10, 10, 10
    return save(
        path,
        [
            helper.make_node("ReduceMean", ["input"], ["means"], axes=[2, 3], keepdims=0),
            helper.make_node("MatMul", ["means", "picks"], ["scores"]),
            helper.make_node(last, ["scores"], ["hoe"], **({"axis": 1} if last == "Softmax" else {})),
            helper.make_node("Slice", ["input", "starts", "ends", "axes"], ["heatmaps"]),
        ],
        {"input": (FLOAT, ["n", 3, 256, 192])},
        {"heatmaps": (FLOAT, ["n", 1, 64, 48]), "hoe": (FLOAT, ["n", 72])},
        constants={
            "picks": picks,
            "starts": np.array([0, 0, 0]),
            "ends": np.array([1, 64, 48]),
            "axes": np.array([1, 2, 3]),
        },
    )


def fastvlm(folder: Path) -> Path:
    """Three networks: two layers, ten words.

    A word's embedding is its one-hot vector. A picture's features are its mean red, green and blue, 0 to 1, at places 1, 2 and 3 of three
    vectors. The decoder keeps every embedding it read, in layer 0, as keys, and times its position as values. Its logits are `turn` times
    the sines of both sums and of the mask's length: what is likeliest tells what was read, where, and whether the cache holds it.
    """
    save(
        folder / "onnx" / "vision_encoder_q4.onnx",
        [
            helper.make_node("ReduceMean", ["pixel_values"], ["means"], axes=[2, 3], keepdims=0),
            helper.make_node("MatMul", ["means", "places"], ["flat"]),
            helper.make_node("Reshape", ["flat", "shape"], ["image_features"]),
        ],
        {"pixel_values": (FLOAT, ["n", 3, PICTURE_SIDE, PICTURE_SIDE])},
        {"image_features": (FLOAT, ["n", PICTURE_TOKENS, HIDDEN])},
        constants={"places": _feature_places(), "shape": np.array([-1, PICTURE_TOKENS, HIDDEN])},
    )
    save(
        folder / "onnx" / "embed_tokens.onnx",
        [helper.make_node("Gather", ["table", "input_ids"], ["inputs_embeds"])],
        {"input_ids": (INT64, ["n", "s"])},
        {"inputs_embeds": (FLOAT, ["n", "s", HIDDEN])},
        constants={"table": np.eye(HIDDEN, dtype=np.float32)},
    )
    _decoder(folder / "onnx" / "decoder_model_merged.onnx")
    documents: dict[str, dict[str, Any]] = {
        "config.json": {
            "hidden_size": HIDDEN,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": HIDDEN,
            "vocab_size": len(WORDS),
            "image_token_index": IMAGE,
        },
        "generation_config.json": {"eos_token_id": [END]},
        "preprocessor_config.json": {"crop_size": {"height": PICTURE_SIDE, "width": PICTURE_SIDE}},
        "tokenizer.json": {},
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document))
    return folder


def _feature_places() -> np.ndarray:
    places = np.zeros((3, PICTURE_TOKENS, HIDDEN), np.float32)
    for channel in range(3):
        places[channel, channel, 1 + channel] = 1
    return places.reshape(3, -1)


def _decoder(path: Path) -> Path:
    cache: Shape = ["n", 1, "past", HIDDEN]
    layers = [(layer, kind) for layer in range(2) for kind in ("key", "value")]
    inputs: dict[str, tuple[int, Shape]] = {
        "inputs_embeds": (FLOAT, ["n", "s", HIDDEN]),
        "attention_mask": (INT64, ["n", "all"]),
        "position_ids": (INT64, ["n", "s"]),
        **{f"past_key_values.{layer}.{kind}": (FLOAT, cache) for layer, kind in layers},
    }
    nodes = [
        helper.make_node("Unsqueeze", ["inputs_embeds", "one"], ["read"]),
        helper.make_node("Cast", ["position_ids"], ["places"], to=FLOAT),
        helper.make_node("Unsqueeze", ["places", "outer"], ["factors"]),
        helper.make_node("Mul", ["read", "factors"], ["placed"]),
        # Layer 0 keeps what was read, layer 1 nothing but zeros of the same shape.
        helper.make_node("Mul", ["read", "none"], ["nothing"]),
        *(
            helper.make_node(
                "Concat",
                [
                    f"past_key_values.{layer}.{kind}",
                    {(0, "key"): "read", (0, "value"): "placed"}.get((layer, kind), "nothing"),
                ],
                [f"present.{layer}.{kind}"],
                axis=2,
            )
            for layer, kind in layers
        ),
        helper.make_node("ReduceSum", ["present.0.key", "axes"], ["keys"], keepdims=0),
        helper.make_node("ReduceSum", ["present.0.value", "axes"], ["values"], keepdims=0),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=FLOAT),
        helper.make_node("ReduceSum", ["mask", "one"], ["seen"], keepdims=1),
        helper.make_node("Concat", ["keys", "values", "seen"], ["state"], axis=1),
        helper.make_node("Sin", ["state"], ["waves"]),
        helper.make_node("MatMul", ["waves", "turn"], ["scores"]),
        helper.make_node("Unsqueeze", ["scores", "one"], ["last"]),
        helper.make_node("Shape", ["position_ids"], ["count"]),
        helper.make_node("Concat", ["count", "width"], ["wanted"], axis=0),
        helper.make_node("Expand", ["last", "wanted"], ["logits"]),
    ]
    outputs: dict[str, tuple[int, Shape]] = {
        "logits": (FLOAT, ["n", "s", len(WORDS)]),
        **{f"present.{layer}.{kind}": (FLOAT, ["n", 1, "total", HIDDEN]) for layer, kind in layers},
    }
    return save(
        path,
        nodes,
        inputs,
        outputs,
        constants={
            "one": np.array([1]),
            "outer": np.array([1, 3]),
            "axes": np.array([1, 2]),
            "none": np.array(0, np.float32),
            "width": np.array([len(WORDS)]),
            "turn": turn(),
        },
    )


def turn() -> np.ndarray:
    """(21, 10): how the sines of counts of words, sums of their positions and the length of the mask make logits."""
    return np.random.default_rng(5).normal(size=(2 * HIDDEN + 1, len(WORDS))).astype(np.float32)


class Words:
    """A tokenizer of single letters; everything else is a word of its own, `f`."""

    def encode(self, text: str) -> list[int]:
        return [WORDS.index(letter) if letter in WORDS else 6 for letter in text]

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(WORDS[token] for token in tokens)


class Spies(Protocol):
    def __call__(self, network: Network, *, before: Callable[[int], None] | None = None) -> list[dict[str, np.ndarray]]:
        """What the network's session is given from now on; `before` is told the rows of each batch and may raise."""


class Spy:
    """In the place of a session."""

    def __init__(self, session: Any, seen: list[dict[str, np.ndarray]], before: Callable[[int], None] | None) -> None:
        self._session, self._seen, self._before = session, seen, before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, names: Any, feeds: dict[str, np.ndarray], options: Any) -> Any:
        self._seen.append(feeds)
        if self._before:
            self._before(len(next(iter(feeds.values()))))
        return self._session.run(names, feeds, options)
