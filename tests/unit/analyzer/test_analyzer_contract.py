from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from analyzer.contract import Device, Env, ExitCode, JobRequest, LicencePolicy, Location, ModelSettings, Role
from analyzer.errors import RequestInvalid

MINIMAL = {"VIDEO_URL": "s3://bucket/in/a%20b.mp4", "SESSION_ID": "s-1"}


def test_request_fills_in_the_documented_defaults() -> None:
    request = JobRequest.from_environment(MINIMAL)
    assert (request.video.bucket, request.video.key) == ("bucket", "in/a%20b.mp4")
    assert request.model_root == Path("/workspace")
    assert request.sample_fps == 2.0
    assert request.database_url is request.result is request.model_set is None
    assert (request.backend, request.models) == ("opencv", ModelSettings())


def test_request_counts_an_empty_variable_as_absent() -> None:
    empty = {name: "" for name in Env if name not in MINIMAL}
    assert JobRequest.from_environment({**MINIMAL, **empty}) == JobRequest.from_environment(MINIMAL)


def test_request_names_models_by_role_and_what_they_run_on() -> None:
    named = {role.variable: f"/m/{role}.onnx" for role in Role}
    more = {"DEVICE": "cuda", "LICENSE_POLICY": "commercial", "BACKEND": "onnx", "CAPCTL_RUNTIME_MOUNT": "/opt/runtime"}
    request = JobRequest.from_environment({**MINIMAL, **named, **more})
    assert request.backend == "onnx"
    assert request.models == ModelSettings(
        paths={role: Path(f"/m/{role}.onnx") for role in Role},
        device=Device.CUDA,
        licence_policy=LicencePolicy.COMMERCIAL,
        runtime_mount=Path("/opt/runtime"),
    )


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("VIDEO_URL", "", "variable-missing"),
        ("SESSION_ID", "", "variable-missing"),
        ("SESSION_ID", "../etc", "session-id-invalid"),
        ("SESSION_ID", "s" * 129, "session-id-invalid"),
        ("VIDEO_URL", "https://example.com/a.mp4", "location-invalid"),
        ("VIDEO_URL", "s3:///key", "location-invalid"),
        ("VIDEO_URL", "file://other-host/a.mp4", "location-invalid"),
        ("RESULT_URL", "ftp://x/y", "location-invalid"),
        ("SAMPLE_FPS", "fast", "sample-fps-invalid"),
        ("SAMPLE_FPS", "0", "sample-fps-invalid"),
        ("SAMPLE_FPS", "nan", "sample-fps-invalid"),
        ("SAMPLE_FPS", "inf", "sample-fps-invalid"),
        ("MODEL_SET", "latest", "model-set-invalid"),
        ("DEVICE", "gpu", "device-invalid"),
        ("LICENSE_POLICY", "free", "license-policy-invalid"),
    ],
)
def test_request_names_the_malformed_variable(name: str, value: str, code: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        JobRequest.from_environment({**MINIMAL, name: value})
    assert caught.value.code == code
    assert name in caught.value.message
    assert caught.value.exit_code is ExitCode.USAGE


def test_location_decodes_a_file_url() -> None:
    assert Location.parse("file:///a%20b/c.mp4", name="x").path == Path("/a b/c.mp4")


def test_contract_imports_the_standard_library_only() -> None:
    script = (
        "import sys, analyzer.contract\n"
        "print({m.split('.')[0] for m in sys.modules if not m.startswith('_')} - set(sys.stdlib_module_names))"
    )
    # -S leaves site packages out, and with them modules that .pth files import at start.
    done = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, check=True, cwd=_ROOT)
    assert done.stdout.strip() == "{'analyzer'}"


def test_the_command_line_starts_without_the_large_packages() -> None:
    script = "import sys, analyzer.cli; print(*sorted({m.split('.')[0] for m in sys.modules} & set(sys.argv[1:])))"
    large = ["av", "boto3", "cv2", "fastapi", "numpy", "onnxruntime", "psycopg", "uvicorn"]
    done = subprocess.run([sys.executable, "-c", script, *large], capture_output=True, text=True, check=True, cwd=_ROOT)
    assert done.stdout == "\n"


_ROOT = Path(__file__).parents[3]
