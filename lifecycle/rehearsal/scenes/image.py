"""The life of code images, from the base to a container that a person starts by hand."""

import json
import shlex
import shutil
import subprocess
from typing import Any

from lifecycle.domain.job import contract
from lifecycle.domain.measures import counted, size_text
from lifecycle.rehearsal.commands import Capctl
from lifecycle.rehearsal.recorder import Recorder
from lifecycle.rehearsal.samples import make_video
from lifecycle.rehearsal.scenes.parts import bootstrap, expect, make_base
from lifecycle.rehearsal.stage import Stage

_RUN_TIMEOUT_S = 120
_CODE = "analyzer/__init__.py"


def play(stage: Stage, capctl: Capctl, record: Recorder) -> None:
    """Every step is a command that a user types; what it printed is checked here."""
    # The engine's names for images that are run by hand begin with it, and are found by it when the stage ends.
    stage.project.configure("image", "repository", f"vision-{stage.id}")
    bootstrap(capctl, record)
    make_base(stage, capctl, record)
    first = _push(stage, capctl, record, "image push")
    _push_again(stage, capctl, record, first)
    second = _change(stage, capctl, record, first)
    _verify(stage, capctl, record)
    _export(stage, capctl, record, first, second)
    _run_by_hand(stage, capctl, record, second)


def _push(stage: Stage, capctl: Capctl, record: Recorder, name: str) -> dict[str, Any]:
    with record.step(name, stage.standins.registry) as step:
        pushed = capctl("image", "push").document
        expect(pushed["changed"], "code that is not in the registry must be pushed")
        step.result = f"{pushed['tag']}, {_sent(pushed)}"
    return pushed


def _push_again(stage: Stage, capctl: Capctl, record: Recorder, first: dict[str, Any]) -> None:
    with record.step("image push, unchanged", stage.standins.registry) as step:
        again = capctl("image", "push").document
        expect(not again["changed"] and again["image"] == first["image"], "the same code must be the same image")
        expect(again["requests"] <= 2, f"the same code must cost two requests at most, not {again['requests']}")
        step.result = _sent(again)


def _change(stage: Stage, capctl: Capctl, record: Recorder, first: dict[str, Any]) -> dict[str, Any]:
    stage.project.append(_CODE, "# a one-line change\n", message="Change one line")
    with record.step("image push --dry-run", stage.standins.registry) as step:
        plan = capctl("image", "push", "--dry-run").document
        expect(len(plan["steps"]) == 1, "changed code must be planned to be pushed")
        step.result = str(plan["because"])
    second = _push(stage, capctl, record, "one-line change, image push")
    expect(second["image"] != first["image"], "changed code must be another image")
    return second


def _verify(stage: Stage, capctl: Capctl, record: Recorder) -> None:
    with record.step("image verify", stage.standins.engine, stage.standins.registry) as step:
        report = capctl("image", "verify").document
        sizes = f"{size_text(report['compressed_bytes'])} compressed, {size_text(report['unpacked_bytes'])} unpacked"
        step.result = f"{sizes}, no rule broken"


def _export(stage: Stage, capctl: Capctl, record: Recorder, first: dict[str, Any], second: dict[str, Any]) -> None:
    layout = stage.folder / "layout"
    with record.step("image build --to oci:…", stage.standins.engine, stage.standins.registry) as step:
        written = capctl("image", "build", "--to", f"oci:{layout}").document
        expect(second["image"].endswith(written["digest"]), "a layout must hold the image that a push gives")
        index = json.loads((layout / "index.json").read_bytes())
        expect([one["digest"] for one in index["manifests"]] == [written["digest"]], "the index must name the image")
        expect(written["digest"] not in first["image"], "it is the image of the change")
        step.result = f"{size_text(written['bytes'])}, the digest of the push"


def _run_by_hand(stage: Stage, capctl: Capctl, record: Recorder, pushed: dict[str, Any]) -> None:
    if stage.standins.engine:
        return
    video = stage.folder / "portrait, by hand.mp4"
    make_video(video)
    capctl("models", "lock")
    with record.step("image load", stage.standins.registry) as step:
        loaded = capctl("image", "load", "--video", str(video)).document
        expect(pushed["image"].endswith(loaded["digest"]), "the engine must have the image that a push gives")
        step.result = loaded["name"]
    if shutil.which("docker"):
        _run(stage, record, loaded["run"])


def _run(stage: Stage, record: Recorder, words: list[str]) -> None:
    with record.step("docker run …", stage.standins.registry) as step:
        done = subprocess.run(
            ["sh", "-c", shlex.join(words)], capture_output=True, text=True, timeout=_RUN_TIMEOUT_S, check=False
        )
        expect(done.returncode == 0, f"the line must run as it is printed: {done.stderr.strip()[-500:]}")
        results = stage.project.folder / ".capctl" / "by-hand" / "results"
        result = json.loads((results / contract.RESULT_NAME).read_bytes())
        expect(result["backend"]["attributes"]["name"] == "dlib", "the models of this machine must have answered")
        step.result = f"{counted(len(result['tracks']), 'track')} in a local video, {counted(len(result['detections']), 'detection')}"


def _sent(pushed: dict[str, Any]) -> str:
    return f"{counted(pushed['requests'], 'request')}, {size_text(pushed['bytes_sent'])}"
