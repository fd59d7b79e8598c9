"""`capctl models`."""

from pathlib import Path

import pytest

from tests.unit.lifecycle.commands.case import LOCKED, MODEL_SET, Case, Play, World


def changed_file(_: World) -> None:
    Path("models/models/age.onnx").write_bytes(b"old")


def add_runtime(_: World) -> None:
    cache = Path("models/runtime/site-packages/__pycache__")
    cache.mkdir(parents=True)
    (cache / "six.cpython-311.pyc").write_bytes(b"six")
    (cache.parent / "six.py").write_bytes(b"six")


CONTRACT = {
    "schema": "capctl.runtime-contract/1",
    "python": "3.11",
    "mount": "/srv/runtime",
    "packages": {},
    "modules": ["six"],
    "libraries": {},
    "tree_sha256": "ca5419bf7122f866df4e98a7cc3139b022d122d33d49a2f6026ef8f7ee5152e5",
}
CONTRACT_SHA256 = "sha256:60c583092b11298d104ab380642b43dca17c9054b172325b157757902823270b"
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
    Case(
        words="models contract --mount /srv/runtime",
        change=add_runtime,
        asked=("contract_file.write",),
        text=CONTRACT_SHA256,
        document={
            "schema": "capctl.models-contract/1",
            "digest": CONTRACT_SHA256,
            "contract": CONTRACT,
            "changed": True,
        },
    ),
    Case(
        words="models contract --dry-run",
        change=add_runtime,
        text="""\
Plan: write models/runtime/contract.json
  because there is no models/runtime/contract.json
  1. write models/runtime/contract.json: sha256:ce39b8441505
Nothing was changed; run again without `--dry-run` to apply""",
        document={"schema": "capctl.plan/1", "title": "write models/runtime/contract.json"},
    ),
    Case(words="models contract", code=1, error="runtime-invalid"),
    Case(words="models lock", change=add_runtime, code=1, error="runtime-invalid"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_models(case: Case, played: Play) -> None:
    played(case)
