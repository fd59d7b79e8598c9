"""`capctl models`."""

from pathlib import Path

import pytest

from tests.unit.lifecycle.commands.case import LOCKED, MODEL_SET, Case, Play, World


def changed_file(_: World) -> None:
    Path("models/models/age.onnx").write_bytes(b"old")


SET = {"digest": MODEL_SET, "files": 1, "bytes": 3}
CASES = [
    Case(
        words="models lock",
        asked=("model_lock.write",),
        text=MODEL_SET,
        document={"schema": "capctl.models-lock/1", **SET, "changed": True},
    ),
    Case(words="models lock", given=LOCKED, text=MODEL_SET, document={**SET, "changed": False}),
    Case(
        words="models lock --dry-run",
        text=f"""\
Plan: lock models.lock.yaml
  because there is no models.lock.yaml
  1. write models.lock.yaml: {MODEL_SET[:19]}, 1 file
Nothing was changed; run again without `--dry-run` to apply""",
        document={"schema": "capctl.plan/1", "title": "lock models.lock.yaml"},
    ),
    Case(words="models lock --check", given=LOCKED, text=MODEL_SET, document={**SET, "changed": False}),
    Case(words="models lock --check", given=LOCKED, change=changed_file, code=1, error="lock-outdated"),
    Case(
        words="models verify",
        given=LOCKED,
        text=MODEL_SET,
        document={"schema": "capctl.models-verification/1", "digest": MODEL_SET, "ok": True, "problems": []},
    ),
    Case(
        words="models verify",
        given=LOCKED,
        change=changed_file,
        code=1,
        error="models-differ",
        document={
            "schema": "capctl.models-verification/1",
            "ok": False,
            "problems": ["changed: models/age.onnx"],
        },
    ),
    Case(
        words="models push",
        given=LOCKED,
        asked=("objects.put",),
        text=MODEL_SET,
        document={"schema": "capctl.models-push/1", **SET, "changed": True},
    ),
    Case(words="models push", given=(*LOCKED, "models push"), text=MODEL_SET, document={**SET, "changed": False}),
    Case(words="models push", code=2, error="lock-missing"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_models(case: Case, played: Play) -> None:
    played(case)
