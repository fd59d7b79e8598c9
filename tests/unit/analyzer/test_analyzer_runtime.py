"""The runtime that an image was built for is there, or the analyzer says so before it does anything."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer.errors import ExitCode
from images.base.runtime import contract_of

FILES = {
    "site-packages/six.py": b"",
    "site-packages/Six_Times-1.17.0.dist-info/METADATA": b"",
    "site-packages/pack/part/deep.py": b"",
    "site-packages/fast.cpython-311-x86_64-linux-gnu.so": b"",
    "site-packages/__pycache__/six.cpython-311.pyc": b"",
}
CONTRACT = contract_of(FILES, mount="/opt/runtime", tree_sha256="0" * 64)
DIGEST = hashlib.sha256(CONTRACT).hexdigest()


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    for name, content in {**FILES, "contract.json": CONTRACT}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_runtime_of_the_image_runs(mount: Path) -> None:
    assert told(mount, DIGEST) == (ExitCode.OK, "")


@pytest.mark.parametrize(
    ("gone", "lacking"),
    [
        ("site-packages", "module `fast`"),
        ("site-packages/pack", "module `pack`"),
        ("site-packages/fast.cpython-311-x86_64-linux-gnu.so", "module `fast`"),
        ("site-packages/Six_Times-1.17.0.dist-info", "package `six-times` 1.17.0"),
    ],
)
def test_runtime_that_was_copied_in_part_ends_with_a_mismatch_that_names_what_it_lacks(
    mount: Path, gone: str, lacking: str
) -> None:
    (mount / gone).rename(mount / "elsewhere")
    status, message = told(mount, DIGEST)
    assert status == ExitCode.MISMATCH
    assert message.startswith(f"error[runtime-mismatch]: The runtime at `{mount}` is not whole: it lacks the {lacking}")


def test_image_with_its_own_runtime_looks_at_no_mount(tmp_path: Path) -> None:
    assert told(tmp_path / "nowhere", "") == (ExitCode.OK, "")


def test_other_runtime_ends_with_a_mismatch_that_names_both(mount: Path) -> None:
    status, message = told(mount, "f" * 64)
    assert status == ExitCode.MISMATCH
    assert message.startswith(f"error[runtime-mismatch]: `{mount}/contract.json` has the digest `{DIGEST}`")
    assert "f" * 64 in message


def test_missing_mount_ends_with_a_mismatch_that_names_it(tmp_path: Path) -> None:
    status, message = told(tmp_path / "nowhere", "f" * 64)
    assert status == ExitCode.MISMATCH
    assert message.startswith("error[runtime-missing]: The runtime that this image needs is not mounted")
    assert f"{tmp_path}/nowhere/contract.json" in message


def test_nothing_heavy_is_imported_before_the_check(tmp_path: Path) -> None:
    code = (
        "import sys; from analyzer.cli import main; status = main(['batch']);"
        "heavy = {'av', 'boto3', 'cv2', 'numpy', 'onnxruntime', 'psycopg'} & sys.modules.keys();"
        "sys.exit(f'{status} {sorted(heavy)}')"
    )
    environment = {"CAPCTL_RUNTIME_CONTRACT": "f" * 64, "CAPCTL_RUNTIME_MOUNT": str(tmp_path)}
    ended = run(["-c", code], environment)
    assert ended.stderr.splitlines()[-1] == "78 []"


def told(mount: Path, digest: str) -> tuple[int, str]:
    ended = run(["-m", "analyzer", "--help"], {"CAPCTL_RUNTIME_CONTRACT": digest, "CAPCTL_RUNTIME_MOUNT": str(mount)})
    return ended.returncode, ended.stderr


def run(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    folder = Path(__file__).parents[3]
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
