"""Captions and picture vectors on three small networks, against the same arithmetic in numpy."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analyzer.backends.base import Caption
from analyzer.backends.onnx import fastvlm, vlm_files
from analyzer.backends.onnx.fastvlm import FastVlmCaptioner, FastVlmEmbedder, VisionTower, square
from analyzer.backends.onnx.generation import Decoder
from analyzer.backends.onnx.session import Engine
from analyzer.backends.onnx.turns import Urgency
from analyzer.errors import ExitCode, Mismatch, OutOfMemory, RequestInvalid
from tests.unit.analyzer import onnx_fakes
from tests.unit.analyzer.onnx_fakes import END, HIDDEN, IMAGE, PICTURE_TOKENS, Words


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return onnx_fakes.fastvlm(tmp_path_factory.mktemp("vlm") / "fastvlm")


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "fastvlm"))


class Model:
    def __init__(self, folder: Path, tokenizer: fastvlm.Tokenizer) -> None:
        files = vlm_files.find_files(folder)
        config, self.engine = vlm_files.read_config(files), Engine()
        self.vision = self.engine.open(files[vlm_files.VISION], Urgency.CAPTION)
        self.words, decoder = (
            self.engine.open(files[name], Urgency.CAPTION, can_be_spared=True)
            for name in (vlm_files.EMBED, vlm_files.DECODER)
        )
        self.tower = VisionTower(self.vision, config)
        self.captioner = FastVlmCaptioner(
            self.tower,
            Decoder(self.words, decoder, config),
            tokenizer,
            config,
            {},
            spare=self.engine.spare,
        )


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return Model(folder, Words())


def never() -> bool:
    return False


def picture(level: int) -> np.ndarray:
    return np.full((12, 8, 3), (level, 2 * level, 3 * level), np.uint8)


def features(shown: np.ndarray) -> np.ndarray:
    """What the fake tower makes of a picture: its mean red, green and blue at places 1, 2 and 3."""
    means = square(shown, onnx_fakes.PICTURE_SIDE)[:, :, ::-1].mean(axis=(0, 1)) / 255
    found = np.zeros((PICTURE_TOKENS, HIDDEN))
    for channel in range(3):
        found[channel, 1 + channel] = means[channel]
    return found


def expected(shown: np.ndarray, prompt: str, max_tokens: int) -> tuple[list[int], bool]:
    """The words that the fake decoder must say: every step looks at all that was read, at the place where it was read."""
    before, after = (Words().encode(text) for text in (fastvlm.BEFORE, fastvlm.AFTER.format(prompt=prompt)))
    read = [*np.eye(HIDDEN)[before], *features(shown), *np.eye(HIDDEN)[after]]
    said: list[int] = []
    while len(said) < max_tokens:
        places = np.arange(len(read))[:, None]
        state = np.concatenate([np.sum(read, axis=0), np.sum(places * np.array(read), axis=0), [len(read)]])
        word = int(np.argmax(np.sin(state) @ onnx_fakes.turn()))
        if word == END:
            return said, True
        said.append(word)
        read.append(np.eye(HIDDEN)[word])
    return said, False


def said_by(caption: Caption | None) -> Caption:
    assert caption is not None
    return caption


Ended = tuple[np.ndarray, str, list[int]]


@pytest.fixture(scope="module")
def ended() -> Ended:
    """A picture and a prompt at which the decoder ends by itself after a few words that are not all the same, and these words."""
    for level in range(1, 80):
        said, finished = expected(picture(level), "bad", 12)
        if finished and len(said) >= 3 and len(set(said)) > 1:
            return picture(level), "bad", said
    raise AssertionError("no such picture")


def test_picture_takes_the_place_of_its_token_and_the_cache_keeps_it(model: Model, ended: Ended) -> None:
    shown, prompt, said = ended
    found = said_by(model.captioner.caption(shown, prompt=prompt, max_tokens=12, is_over=never))
    assert (found.text, found.tokens, found.finished) == (Words().decode(said), len(said), True)
    for level in range(5, 80, 15):
        words, finished = expected(picture(level), "bad", 6)
        found = said_by(model.captioner.caption(picture(level), prompt="bad", max_tokens=6, is_over=never))
        assert (found.text, found.finished) == (Words().decode(words), finished)


def test_limit_of_tokens_ends_a_caption_unfinished(model: Model, ended: Ended) -> None:
    shown, prompt, said = ended
    found = said_by(model.captioner.caption(shown, prompt=prompt, max_tokens=2, is_over=never))
    assert (found.text, found.tokens, found.finished) == (Words().decode(said[:2]), 2, False)


def test_caption_that_is_over_ends_with_what_there_is(model: Model, ended: Ended, spy: onnx_fakes.Spies) -> None:
    shown, prompt, said = ended
    # One look before the picture, and one before each word.
    looks = iter(range(100))
    captioner, looked = model.captioner, spy(model.vision)
    found = said_by(captioner.caption(shown, prompt=prompt, max_tokens=12, is_over=lambda: next(looks) >= 3))
    assert (found.text, found.tokens, found.finished) == (Words().decode(said[:2]), 2, False)
    late = said_by(captioner.caption(shown, prompt=prompt, max_tokens=12, is_over=lambda: True))
    assert (late.text, late.tokens, late.finished) == ("", 0, False)
    assert len(looked) == 1


@pytest.mark.parametrize("part", ["turn", "_feature_places"])
def test_what_is_no_number_is_refused_and_no_word_is_made_of_it(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = getattr(onnx_fakes, part)() * np.float32(np.nan)
    monkeypatch.setattr(onnx_fakes, part, lambda: weights)
    model = Model(onnx_fakes.fastvlm(tmp_path), Words())
    with pytest.raises(Mismatch) as caught:
        model.captioner.caption(picture(9), prompt="bad", max_tokens=3, is_over=never)
    assert caught.value.code == "model-output"


def lacking(rows: int) -> None:
    raise RuntimeError("CUDA failure 2: out of memory ; GPU=0")


@pytest.mark.parametrize("part", ["words", "vision"])
def test_captioner_without_memory_is_given_up_and_vectors_go_on(
    folder: Path, spy: onnx_fakes.Spies, part: str, ended: Ended
) -> None:
    model, (shown, prompt, _) = Model(folder, Words()), ended
    before = FastVlmEmbedder(model.tower, {}).embed([shown])
    # The tower lacks memory only beside the words, the words do so always.
    spy(getattr(model, part), before=lambda rows: lacking(rows) if model.engine.spare.is_there else None)
    for _ in range(2):
        assert model.captioner.caption(shown, prompt=prompt, max_tokens=12, is_over=never) is None
    assert model.words._session is None
    np.testing.assert_array_equal(FastVlmEmbedder(model.tower, {}).embed([shown]), before)
    spy(model.vision, before=lacking)
    with pytest.raises(OutOfMemory) as caught:
        model.tower.features(shown)
    assert caught.value.exit_code == ExitCode.INTERRUPTED


def test_who_lacks_memory_waits_until_a_caption_on_its_way_has_let_go(folder: Path, spy: onnx_fakes.Spies) -> None:
    told: list[str] = []
    looks = iter(range(100))

    def is_over() -> bool:
        if next(looks) == 3:
            detecting.start()
            until(lambda: not model.engine.spare.is_there)
            told.append("let go")
        return False

    model = Model(folder, Words())
    detector = model.engine.open(model.vision.path, Urgency.DETECT)
    spy(detector, before=lambda rows: lacking(rows) if model.engine.spare.is_there else told.append("again"))
    square = np.zeros((1, 3, onnx_fakes.PICTURE_SIDE, onnx_fakes.PICTURE_SIDE), np.float32)
    detecting = threading.Thread(target=lambda: detector.run_rows(square))
    level = next(each for each in range(1, 80) if len(expected(picture(each), "bad", 6)[0]) == 6)
    assert model.captioner.caption(picture(level), prompt="bad", max_tokens=12, is_over=is_over) is None
    detecting.join(10)
    assert told == ["let go", "again"]


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline_s
        os.sched_yield()


def test_prompt_that_spells_a_picture_is_refused(folder: Path) -> None:
    class Spelling(Words):
        def encode(self, text: str) -> list[int]:
            return [IMAGE if letter == "#" else word for letter, word in zip(text, super().encode(text), strict=True)]

    captioner = Model(folder, Spelling()).captioner
    with pytest.raises(RequestInvalid) as caught:
        captioner.caption(picture(9), prompt="what is #", max_tokens=3, is_over=never)
    assert caught.value.code == "prompt-invalid"


def test_tower_sees_the_whole_picture_in_a_black_square(model: Model, spy: onnx_fakes.Spies) -> None:
    seen = spy(model.vision)
    shown = np.random.default_rng(3).integers(0, 255, (32, 20, 3), dtype=np.uint8)
    model.tower.features(shown)
    wide = np.zeros((32, 32, 3), np.int64)
    wide[:, 6:26] = shown
    wanted = (wide.reshape(16, 2, 16, 2, 3).sum(axis=(1, 3)) + 2) // 4
    np.testing.assert_array_equal(square(shown, 16), wanted)
    np.testing.assert_allclose(seen[0]["pixel_values"][0], wanted[:, :, ::-1].transpose(2, 0, 1) / 255, atol=1e-6)


def test_vectors_are_the_mean_of_the_features_with_norm_one(model: Model) -> None:
    embedder = FastVlmEmbedder(model.tower, {})
    shown = [picture(20), np.zeros((5, 9, 3), np.uint8)]
    found = embedder.embed(shown)
    mean = features(shown[0]).mean(axis=0)
    np.testing.assert_allclose(found[0], mean / np.linalg.norm(mean), atol=1e-5)
    assert (embedder.space, embedder.dimension) == (f"fastvlm_mean_{HIDDEN}", HIDDEN)
    assert np.isfinite(found).all()
    assert embedder.embed([]).shape == (0, HIDDEN)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("config.json", {"num_hidden_layers": 3}, "no input `past_key_values.2.key`"),
        ("config.json", {"num_hidden_layers": 1}, "the input `past_key_values.1.key`, which its configuration"),
        ("config.json", {"num_key_value_heads": 2}, "`past_key_values.0.key`"),
        ("config.json", {"vocab_size": 12}, "output `logits`"),
        ("config.json", {"hidden_size": 12}, "(n, n, 12)"),
        ("config.json", {"hidden_size": "many"}, '`"many"` for `hidden_size`'),
        ("config.json", {"image_token_index": None}, "no `image_token_index`"),
        ("generation_config.json", {"eos_token_id": None}, "no `eos_token_id`"),
        ("preprocessor_config.json", {"crop_size": {"height": 16, "width": 8}}, "`crop_size`"),
        ("preprocessor_config.json", {"image_std": [1]}, "`image_std`"),
        ("preprocessor_config.json", {"crop_size": 32}, "(n, 3, 32, 32)"),
    ],
)
def test_configuration_that_the_networks_do_not_follow_is_refused(
    copied: Path, name: str, change: dict[str, object], said: str
) -> None:
    (copied / name).write_text(json.dumps({**json.loads((copied / name).read_text()), **change}))
    with pytest.raises(Mismatch) as caught:
        Model(copied, Words())
    assert caught.value.code in {"model-config", "model-signature"}
    assert said in caught.value.message, caught.value.message


def test_sizes_may_lie_in_an_object_of_their_own(copied: Path) -> None:
    flat = json.loads((copied / "config.json").read_text())
    token = flat.pop("image_token_index")
    (copied / "config.json").write_text(json.dumps({"text_config": flat, "image_token_id": token}))
    assert vlm_files.read_config(vlm_files.find_files(copied)).image_token == IMAGE


def test_folder_that_is_not_whole_is_refused(copied: Path) -> None:
    decoder = copied / "onnx" / "decoder_model_merged.onnx"
    shutil.copy(decoder, decoder.with_name("decoder_model_merged_q4.onnx"))
    # One without a suffix comes first.
    assert vlm_files.find_files(copied)[vlm_files.DECODER] == decoder
    decoder.rename(decoder.with_name("decoder_model_merged_fp16.onnx"))
    for change, said in ((None, "expected one of them"), ("tokenizer.json", "no `tokenizer.json`")):
        if change:
            (copied / change).unlink()
        with pytest.raises(Mismatch, match=said) as caught:
            vlm_files.find_files(copied)
        assert caught.value.code == "model-missing"
    (copied / "config.json").write_text("{")
    with pytest.raises(Mismatch, match=r"config\.json"):
        vlm_files.read_config({vlm_files.CONFIG: copied / "config.json"})


def test_tokenizer_that_nothing_can_read_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(Mismatch, match="needs the package `tokenizers`") as caught:
        fastvlm.TokenizerFile(folder / "tokenizer.json")
    assert caught.value.code == "tokenizer-missing"
