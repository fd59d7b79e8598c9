"""What a folder with a vision-language model holds, and what its JSON files say about the networks.

The layout is the one in which such models are published in ONNX form: `config.json`, `preprocessor_config.json`, `tokenizer.json`, and
three networks, beside them or in `onnx/`: `vision_encoder`, `embed_tokens`, `decoder_model_merged`, with or without a suffix such as `_q4`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyzer.errors import Mismatch

VISION, EMBED, DECODER = NETWORKS = ("vision_encoder", "embed_tokens", "decoder_model_merged")
CONFIG, PREPROCESSOR, TOKENIZER = DOCUMENTS = ("config.json", "preprocessor_config.json", "tokenizer.json")
# Says which tokens end a text where the model's configuration does not; may be absent.
GENERATION = "generation_config.json"
_HINT = "Copy the whole ONNX export of the model, with its JSON files, into one folder below `checkpoints/`; MODELS.md has the list"


@dataclass(frozen=True, slots=True, kw_only=True)
class VlmConfig:
    """Sizes of the networks, and the tokens that mean something: `image_token` stands for a picture, `end_tokens` end a text."""

    layers: int
    cache_heads: int
    head_size: int
    hidden_size: int
    vocabulary: int
    image_token: int
    end_tokens: frozenset[int]
    image_side_px: int
    image_mean: tuple[float, ...]
    image_std: tuple[float, ...]


def find_files(folder: Path) -> dict[str, Path]:
    """The model's files by role. Raises: Mismatch, naming what is missing, or what there are several of."""
    files = {name: folder / name for name in DOCUMENTS}
    for name, path in files.items():
        if not path.is_file():
            raise _lacking(folder, f"no `{name}`")
    if (folder / GENERATION).is_file():
        files[GENERATION] = folder / GENERATION
    return files | {name: _network(folder, name) for name in NETWORKS}


def _network(folder: Path, name: str) -> Path:
    found = [path for place in (folder, folder / "onnx") for path in sorted(place.glob(f"{name}*.onnx"))]
    exact = [path for path in found if path.stem == name]
    chosen = exact or found
    if not chosen:
        raise _lacking(folder, f"no `{name}.onnx`")
    if len(chosen) > 1:
        raise _lacking(folder, f"{' and '.join(f'`{path.name}`' for path in chosen)}, expected one of them")
    return chosen[0]


def read_config(files: Mapping[str, Path]) -> VlmConfig:
    """Raises: Mismatch, naming file and key, for what is absent or no number of the kind."""
    whole = _read(files[CONFIG])
    # Some publishers put the language model's part into an object of its own.
    config = _Values(files[CONFIG], {**whole, **_object(whole.get("text_config"))})
    picture = _Values(files[PREPROCESSOR], _read(files[PREPROCESSOR]))
    generation = _read(files[GENERATION]) if GENERATION in files else {}
    hidden = config.number("hidden_size")
    ends = _tokens(config.values.get("eos_token_id")) | _tokens(generation.get("eos_token_id"))
    if not ends:
        raise _malformed(files[CONFIG], "eos_token_id", config.values.get("eos_token_id"))
    return VlmConfig(
        layers=config.number("num_hidden_layers"),
        cache_heads=config.number("num_key_value_heads"),
        head_size=config.number("head_dim", default=hidden // config.number("num_attention_heads")),
        hidden_size=hidden,
        vocabulary=config.number("vocab_size"),
        image_token=config.number("image_token_index", "image_token_id"),
        end_tokens=frozenset(ends),
        image_side_px=_side(picture),
        image_mean=picture.triple("image_mean", 0.0),
        image_std=picture.triple("image_std", 1.0),
    )


class _Values:
    """The values of a JSON object, by key and of the kind that is needed."""

    def __init__(self, path: Path, values: Mapping[str, Any]) -> None:
        self.path, self.values = path, values

    def number(self, *keys: str, default: int | None = None) -> int:
        value = next((self.values[key] for key in keys if self.values.get(key) is not None), default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise _malformed(self.path, keys[0], value)
        return value

    def triple(self, key: str, default: float) -> tuple[float, ...]:
        value = self.values.get(key, [default] * 3)
        if not isinstance(value, list) or len(value) != 3 or not all(isinstance(each, int | float) for each in value):
            raise _malformed(self.path, key, value)
        return tuple(float(each) for each in value)


def _side(picture: _Values) -> int:
    for key in ("crop_size", "size"):
        value = picture.values.get(key)
        sides = set(value.values()) if isinstance(value, dict) else {value}
        side = sides.pop() if len(sides) == 1 else None
        if isinstance(side, int) and not isinstance(side, bool) and 16 <= side <= 4096:
            return side
    raise _malformed(picture.path, "crop_size", picture.values.get("crop_size"))


def _tokens(value: Any) -> set[int]:
    return {each for each in (value if isinstance(value, list) else [value]) if isinstance(each, int)}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Mismatch("model-config", f"`{path}` cannot be read as JSON: {error}", hint=_HINT) from error
    if not isinstance(document, dict):
        raise Mismatch("model-config", f"`{path}` is no JSON object", hint=_HINT)
    return document


def _lacking(folder: Path, what: str) -> Mismatch:
    return Mismatch("model-missing", f"The captioner's folder `{folder}` holds {what}", hint=_HINT)


def _malformed(path: Path, key: str, value: Any) -> Mismatch:
    said = "no" if value is None else f"`{json.dumps(value)[:60]}` for"
    return Mismatch("model-config", f"`{path}` has {said} `{key}`", hint=_HINT)
