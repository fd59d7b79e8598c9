"""A name and a mounted model set make the models of a job; what they may not be is refused before anything runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer import cli
from analyzer.backends import choose
from analyzer.backends.base import Backends
from analyzer.backends.choose import choose_backends
from analyzer.backends.null import NullDetector
from analyzer.backends.onnx import fastvlm
from analyzer.contract import MODEL_PATHS, Device, LicencePolicy, ModelFile, ModelSettings, Role
from analyzer.errors import AnalyzerError, ExitCode
from analyzer.licences import permits_commercial_use
from analyzer.manifest import ModelSet, check_model_set
from tests.unit.analyzer import onnx_fakes

SetMaker = Callable[..., str]
DEFAULTS = ModelSettings()


def place(root: Path, role: Role) -> Path:
    path = root / MODEL_PATHS[role]
    if role is Role.DETECTOR:
        return onnx_fakes.yolo(path, np.array([[48, 32, 20, 40, 0.9, 0]]).T)
    made = {Role.MIVOLO: onnx_fakes.mivolo, Role.ORIENTATION: onnx_fakes.mebow, Role.CAPTION: onnx_fakes.fastvlm}
    return made[role](path)


@pytest.fixture
def checked(channel_networks: Path, mark_set: SetMaker) -> Callable[..., ModelSet]:
    def check(*roles: Role, change: Callable[[dict[str, Any]], None] | None = None) -> ModelSet:
        """A checked set with the age and gender networks and a fake for each role."""
        for role in roles:
            place(channel_networks, role)
        mark_set(channel_networks, change=change)
        return check_model_set(channel_networks)

    return check


def names(backends: Backends) -> dict[str, object]:
    parts = ("detector", "attributes", "orientation", "captioner", "embedder")
    found = {part: getattr(backends, part) for part in parts}
    return {part: each.description["name"] for part, each in found.items() if each}


def refused(name: str, model_set: ModelSet, settings: ModelSettings = DEFAULTS) -> AnalyzerError:
    with pytest.raises(AnalyzerError) as caught:
        choose_backends(name, model_set, settings)
    return caught.value


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastvlm, "TokenizerFile", lambda _path: onnx_fakes.Words())


def test_name_chooses_the_detector_and_what_is_mounted_the_rest(checked: Callable[..., ModelSet], words: None) -> None:
    rest = {"attributes": "mivolo", "orientation": "mebow", "captioner": "fastvlm", "embedder": "fastvlm"}
    model_set = checked(Role.DETECTOR, Role.MIVOLO, Role.ORIENTATION, Role.CAPTION)
    found = {name: choose_backends(name, model_set, DEFAULTS) for name in ("onnx", "opencv", "null")}
    assert names(found["onnx"]) == {"detector": "yolo", **rest}
    assert names(found["opencv"]) == {"detector": "opencv", **rest}
    assert names(found["null"]) == {"detector": "null", **rest}
    described = found["onnx"].detector.description
    assert described["provider"] == "CPUExecutionProvider"
    assert described["detector"] == model_set.find(model_set.root / MODEL_PATHS[Role.DETECTOR]).entry  # type: ignore[union-attr]
    assert found["onnx"].captioner is not None
    assert "decoder_model_merged" in found["onnx"].captioner.description


def test_without_weights_there_is_a_detector_and_a_descriptor(tmp_path: Path) -> None:
    assert names(choose_backends("opencv", check_model_set(tmp_path), DEFAULTS)) == {
        "detector": "opencv",
        "embedder": "appearance",
    }


def test_networks_that_are_named_come_before_those_that_are_only_there(checked: Callable[..., ModelSet]) -> None:
    model_set = checked(Role.MIVOLO)
    age = model_set.root / MODEL_PATHS[Role.AGE]
    mivolo = model_set.root / MODEL_PATHS[Role.MIVOLO]
    for paths, name in (({}, "mivolo"), ({Role.AGE: age}, "dlib"), ({Role.AGE: age, Role.MIVOLO: mivolo}, "mivolo")):
        assert names(choose_backends("null", model_set, ModelSettings(paths=paths)))["attributes"] == name


@pytest.mark.parametrize(
    ("name", "settings", "code", "said"),
    [
        ("onnx", DEFAULTS, "model-missing", "yolov8x_person_face.onnx` does not exist"),
        ("null", ModelSettings(paths={Role.ORIENTATION: Path("/no/hoe.onnx")}), "model-missing", "`/no/hoe.onnx`"),
        ("null", ModelSettings(paths={Role.CAPTION: Path("/no/vlm")}), "model-missing", "`/no/vlm`"),
        ("null", ModelSettings(device=Device.CUDA), "gpu-unused", "CUDA is asked for"),
        ("yolo", DEFAULTS, "backend-unknown", "Backend `yolo` is not one of opencv, onnx, null"),
    ],
)
def test_what_was_asked_for_and_is_not_there_is_refused(
    checked: Callable[..., ModelSet], name: str, settings: ModelSettings, code: str, said: str
) -> None:
    error = refused(name, checked(), settings)
    assert (error.code, said in error.message) == (code, True), error.message


def test_gpu_that_no_network_would_use_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = refused("opencv", check_model_set(tmp_path), ModelSettings(device=Device.CUDA))
    assert (error.code, error.exit_code) == ("gpu-unused", ExitCode.MISMATCH)
    assert "no network below" in error.message


def test_pickle_in_the_place_of_the_detector_says_how_to_export_it(channel_networks: Path, mark_set: SetMaker) -> None:
    (channel_networks / "models" / "yolov8x_person_face.pt").write_bytes(b"pickle")
    mark_set(channel_networks)
    error = refused("onnx", check_model_set(channel_networks))
    assert (error.code, "MODELS.md" in error.hint) == ("model-pickled", True)


def test_every_file_of_a_role_must_be_of_the_checked_set(
    checked: Callable[..., ModelSet], words: None, tmp_path: Path
) -> None:
    model_set = checked()
    for role in (Role.DETECTOR, Role.MIVOLO, Role.ORIENTATION, Role.CAPTION):
        path = place(tmp_path / "elsewhere", role)
        if path.is_file():
            path.write_bytes(b"not even a network: it must not be opened")
        error = refused("onnx" if role is Role.DETECTOR else "null", model_set, ModelSettings(paths={role: path}))
        assert (error.code, str(path) in error.message) == ("model-unchecked", True), error.message


def entry(value: str) -> EntryPoint:
    return EntryPoint(name="mine", value=f"{__name__}:{value}", group="analyzer.backends")


def mine(model_set: ModelSet, settings: ModelSettings) -> Backends:
    assert settings.device is Device.CPU
    return choose_backends("null", model_set, settings)


def broken(model_set: ModelSet, settings: ModelSettings) -> Backends:
    raise KeyError("weights")


def wrong(model_set: ModelSet, settings: ModelSettings) -> NullDetector:
    return NullDetector()


@pytest.fixture
def bring(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda value: monkeypatch.setattr(choose, "entry_points", lambda *, group: [entry(value)])


def test_package_may_bring_a_backend(bring: Callable[[str], None], tmp_path: Path) -> None:
    bring("mine")
    model_set = check_model_set(tmp_path)
    assert names(choose_backends("mine", model_set, ModelSettings(device=Device.CPU)))["detector"] == "null"
    assert "mine" in refused("other", model_set).message
    for value, said in (
        ("broken", "KeyError: 'weights'"),
        ("wrong", "gives NullDetector"),
        ("absent", "AttributeError"),
    ):
        bring(value)
        error = refused("mine", model_set)
        assert (error.code, said in error.message) == ("backend-unloadable", True), error.message


@pytest.mark.parametrize(
    ("licence", "use", "permitted"),
    [
        ("CC0-1.0", "", True),
        ("apache-2.0", "", True),
        ("apple-amlr", "research", False),
        ("AGPL-3.0", "", False),
        ("AGPL-3.0", "Commercial", True),
        ("MIT", "research", False),
        ("MIT", "commercial use prohibited", False),
        ("", "", False),
        ("", "any", True),
    ],
)
def test_commercial_use_is_what_is_stated(licence: str, use: str, permitted: bool) -> None:
    file = ModelFile(path="models/a", size_bytes=1, sha256="", mode="0444", licence=licence, permitted_use=use)
    assert permits_commercial_use(file) is permitted


def licensed(**terms: str) -> Callable[[dict[str, Any]], None]:
    """Everything under CC0, but the gender network under `terms`."""

    def change(document: dict[str, Any]) -> None:
        for file in document["files"]:
            file.update(terms if "gender" in file["path"] else {"licence": "CC0-1.0"})

    return change


def test_file_that_may_not_be_used_commercially_is_refused_by_name(checked: Callable[..., ModelSet]) -> None:
    strict = ModelSettings(licence_policy=LicencePolicy.COMMERCIAL)
    model_set = checked(change=licensed(licence="apple-amlr", permitted_use="research"))
    error = refused("null", model_set, strict)
    assert (error.code, error.exit_code) == ("license-refused", ExitCode.MISMATCH)
    assert "gender-v1.onnx` may not be used under `commercial`: the model set says `research`" in error.message
    assert names(choose_backends("null", model_set, DEFAULTS))["attributes"] == "dlib"
    allowed = checked(change=licensed(licence="MIT"))
    assert names(choose_backends("null", allowed, strict))["attributes"] == "dlib"
    assert allowed.digest == model_set.digest


def test_verify_tells_the_terms_and_refuses_by_policy(
    checked: Callable[..., ModelSet], capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(checked(change=licensed(licence="apple-amlr", permitted_use="research")).root)
    assert cli.main(["models", "verify", "--model-root", root]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("models/age-v1.onnx  (CC0-1.0; no permitted use stated)")
    assert lines[1].endswith("models/gender-v1.onnx  (apple-amlr; research)")
    assert cli.main(["models", "verify", "--model-root", root, "-o", "json"]) == ExitCode.OK
    files = json.loads(capsys.readouterr().out)["files"]
    assert [(each["licence"], each["commercial_use"]) for each in files] == [("CC0-1.0", True), ("apple-amlr", False)]
    assert cli.main(["models", "verify", "--model-root", root, "--license-policy", "commercial"]) == ExitCode.MISMATCH
    assert capsys.readouterr().err.startswith("error[license-refused]: `")
    assert cli.main(["models", "verify", "--model-root", root, "--license-policy", "free"]) == ExitCode.USAGE


@pytest.mark.parametrize("name", ["opencv", "null"])
def test_a_detector_model_that_the_backend_does_not_use_is_refused(name: str, checked: Callable[..., ModelSet]) -> None:
    settings = ModelSettings(paths={Role.DETECTOR: Path("other.onnx")})
    error = refused(name, checked(), settings)
    assert (error.code, error.exit_code) == ("detector-not-used", ExitCode.USAGE)
