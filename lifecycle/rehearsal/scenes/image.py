"""The life of code images, from the base to a container that a person starts by hand, and to the end of what nothing needs."""

import json
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

from lifecycle.domain.job import contract
from lifecycle.domain.measures import counted, size_text
from lifecycle.errors import ExitCode
from lifecycle.rehearsal.commands import Capctl
from lifecycle.rehearsal.recorder import Recorder
from lifecycle.rehearsal.samples import make_video
from lifecycle.rehearsal.scenes.parts import bootstrap, expect, make_base
from lifecycle.rehearsal.stage import Stage

_RUN_TIMEOUT_S = 120
_VIDEO = "portrait, by hand.mp4"
_CODE = "analyzer/__init__.py"
_MODEL = "analyzer/weights.txt"
_NEEDS = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]


def to_try(folder: Path, identifier: str) -> str:
    """What a kept stage has for who types commands."""
    return (
        f"Repository: {_repository(identifier)}; sample video: `{folder / _VIDEO}`, for `capctl image load --video …`"
    )


def _repository(identifier: str) -> str:
    return f"vision-{identifier}"


def play(stage: Stage, capctl: Capctl, record: Recorder) -> None:
    """Every step is a command that a user types; what it printed is checked here."""
    # The engine's names for images that are run by hand begin with it, and are found by it when the stage ends.
    stage.project.configure("image", "repository", _repository(stage.id))
    stage.project.commit("Name the repository")
    bootstrap(capctl, record)
    make_base(stage, capctl, record)
    _refusal(stage, capctl, record)
    first = _push(stage, capctl, record, "image push")
    _push_again(stage, capctl, record, first)
    second = _change(stage, capctl, record, first)
    _look(stage, capctl, record, first, second)
    _export(stage, capctl, record, first, second)
    _run_by_hand(stage, capctl, record, second)
    _prune(stage, capctl, record, old=first, new=second)


def _refusal(stage: Stage, capctl: Capctl, record: Recorder) -> None:
    with record.step("a renamed model, image push", stage.standins.registry) as step:
        stage.project.add(_MODEL, b"PK\x03\x04" + b"\0" * 26 + b"archive/data.pkl", message="Ship a model by mistake")
        refused = capctl("image", "push", expect=ExitCode.FAILED).document
        expect(any(_MODEL in line for line in refused["details"]), f"`{_MODEL}` must be named, found {refused}")
        stage.project.revert(commits=1)
        step.result = f"`{refused['code']}`: {refused['details'][0]}"


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
        changes, told = plan["push"]["changes"], plan["push"]["to_send"]["bytes"]
        expect(changes["changed"] == [_CODE], f"the file that changed must be named, found {changes}")
        step.result = f"{_CODE} changed, {size_text(told)} to send"
    second = _push(stage, capctl, record, "one-line change, image push")
    expect(second["image"] != first["image"], "changed code must be another image")
    expect(second["bytes_sent"] == told, f"{told} bytes were told, {second['bytes_sent']} sent")
    return second


def _look(stage: Stage, capctl: Capctl, record: Recorder, first: dict[str, Any], second: dict[str, Any]) -> None:
    with record.step("image verify", stage.standins.engine, stage.standins.registry) as step:
        report = capctl("image", "verify").document
        sizes = f"{size_text(report['compressed_bytes'])} compressed, {size_text(report['unpacked_bytes'])} unpacked"
        step.result = f"{sizes}, no rule broken"
    with record.step("image explain", stage.standins.engine, stage.standins.registry) as step:
        told = capctl("image", "explain").document
        expect(told["bytes"] == report["unpacked_bytes"], "an explanation must add up to what the rules count")
        expect(told["layers"][-1]["origin"] == "code", "the top layer must be the code")
        heavy = max(told["packages"], key=lambda package: int(package["bytes"]))
        step.result = f"{counted(len(told['layers']), 'layer')}; the largest package, {heavy['name']}, is {size_text(heavy['bytes'])}"
    with record.step("image diff", stage.standins.registry) as step:
        found = capctl("image", "diff", first["image"], second["image"]).document
        expect([one["path"] for one in found["files"]] == [f"/app/{_CODE}"], "one file was changed, and no other")
        step.result = f"{found['files'][0]['path']}; a host must fetch {size_text(found['layers']['download_bytes'])}"


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
    video = stage.folder / _VIDEO
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


def _prune(stage: Stage, capctl: Capctl, record: Recorder, *, old: dict[str, Any], new: dict[str, Any]) -> None:
    stage.project.configure("image", "retention", {"keep_code": 1, "min_age_days": 0})
    batch, image = stage.client("batch"), {"image": old["image"], "command": ["true"], "resourceRequirements": _NEEDS}
    made = batch.register_job_definition(jobDefinitionName="nightly", type="container", containerProperties=image)
    with record.step("image ls", stage.standins.registry) as step:
        listed = {one["digest"]: one for one in capctl("image", "ls").document["images"]}
        uses = {use["kind"] for use in listed[_digest(old)]["uses"]}
        expect("job definition" in uses, f"the job definition must be known that needs the image, found {uses}")
        step.result = f"{counted(len(listed), 'image')}; a job definition needs {old['tag']}"
    with record.step("image prune --apply", stage.standins.registry) as step:
        kept = _verdicts(capctl("image", "prune", "--apply", "--yes").document)
        expect(set(kept.values()) == {"keep"}, "what a job definition needs must stay")
        step.result = f"{counted(len(kept), 'image')} kept"
    batch.deregister_job_definition(jobDefinition=made["jobDefinitionArn"])
    with record.step("image prune --apply, needed no more", stage.standins.registry) as step:
        verdicts = _verdicts(capctl("image", "prune", "--apply", "--yes").document)
        expect(verdicts[_digest(old)] == "delete", "what nothing needs must go")
        expect(verdicts[_digest(new)] == "keep", "the image of the working tree must stay")
        gone = capctl("image", "verify", old["image"], expect=ExitCode.FAILED).document
        expect(gone["code"] == "image-missing", f"the image must be gone, found `{gone['code']}`")
        step.result = f"{old['tag']} is deleted, {new['tag']} stays"


def _verdicts(document: dict[str, Any]) -> dict[str, str]:
    return {one["digest"]: one["verdict"] for one in document["images"]}


def _digest(pushed: dict[str, Any]) -> str:
    return str(pushed["image"]).partition("@")[2]


def _sent(pushed: dict[str, Any]) -> str:
    return f"{counted(pushed['requests'], 'request')}, {size_text(pushed['bytes_sent'])}"
