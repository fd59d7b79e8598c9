"""Wheels are unpacked into layers of a site, trimmed and compiled."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from images.base import unpack
from tests.unit.images.base_parts import make_wheel


@pytest.mark.parametrize(
    ("path", "trimmed"),
    [
        ("botocore/data/s3/2006-03-01/service-2.json.gz", False),
        ("botocore/data/ec2/2016-11-15/service-2.json.gz", True),
        ("botocore/data/ecr-public/2020-10-30/service-2.json.gz", True),
        ("botocore/data/endpoints.json", False),
        ("cv2/data/haarcascade_frontalface_default.xml", False),
        ("cv2/data/haarcascade_smile.xml", True),
        ("cv2/data/__init__.py", False),
        ("onnxruntime/datasets/sigmoid.onnx", True),
        ("onnxruntime/capi/libonnxruntime.so.1.31.1", True),
        ("onnxruntime/capi/onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so", False),
        ("numpy/_core/tests/test_umath.py", True),
        ("numpy/_core/tests/_natype.py", False),
        ("numpy/__init__.pyi", True),
        ("numpy/__init__.py", False),
        ("pip/__init__.py", True),
        ("numpy-2.4.6.dist-info/METADATA", False),
    ],
)
def test_trims(path: str, trimmed: bool) -> None:
    assert unpack.is_trimmed(path) is trimmed


@pytest.mark.parametrize(
    ("member", "path"),
    [
        ("six.py", "six.py"),
        ("x-1.data/purelib/x/a.py", "x/a.py"),
        ("x-1.data/platlib/x/a.so", "x/a.so"),
        ("x-1.data/scripts/run", None),
        ("x-1.data/headers/x.h", None),
    ],
)
def test_wheel_members_go_to_the_site_or_nowhere(member: str, path: str | None) -> None:
    assert unpack.site_path(member) == path


@pytest.mark.parametrize("member", ["/etc/passwd", "a/../../b"])
def test_wheel_members_that_leave_the_site_are_refused(member: str) -> None:
    with pytest.raises(unpack.UnpackFailed):
        unpack.site_path(member)


def run_unpack(*arguments: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-c", _UNPACK_WITHOUT_STDLIB, str(unpack.__file__), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


# The interpreter's own library takes seconds to compile, and is the same work.
_UNPACK_WITHOUT_STDLIB = """
import runpy, sys
from pathlib import Path
module = runpy.run_path(sys.argv[1], run_name="unpack")
module["main"].__globals__["compile_stdlib"] = lambda out: None
try:
    module["main"](*map(Path, sys.argv[2:]))
except module["UnpackFailed"] as err:
    sys.exit(f"error: {err}")
"""


def test_unpack_sorts_packages_into_layers_and_compiles_them_for_good(tmp_path: Path) -> None:
    hashes = [
        make_wheel(
            tmp_path / "w", "av-18.1.0-cp311-abi3-x.whl", {"av/__init__.py": "x = 1\n", "av/tests/test_a.py": ""}
        ),
        make_wheel(tmp_path / "w", "six-1.17.0-py2.py3-none-any.whl", {"six.py": "y = {'a', 'b'}\n"}),
    ]
    (tmp_path / "lock").write_text("".join(f"x==1 --hash=sha256:{each}\n" for each in hashes))
    done = run_unpack(tmp_path / "w", tmp_path / "lock", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    video, light = tmp_path / "out" / "video" / "opt" / "site", tmp_path / "out" / "light" / "opt" / "site"
    assert sorted(path.name for path in video.rglob("*.py")) == ["__init__.py"]
    (compiled,) = light.glob("__pycache__/six.*.pyc")
    content = compiled.read_bytes()
    assert content[4:8] == b"\1\0\0\0"  # named by hash, never checked against the source
    assert b"\x10/opt/site/six.py" in content  # sixteen characters: the path in the image, from its root
    assert str(tmp_path).encode() not in content
    assert {path.lstat().st_mtime for path in (tmp_path / "out").rglob("*")} == {unpack.FIXED_MTIME_S}
    assert all((tmp_path / "out" / name).is_dir() for name in unpack.LAYER_ORDER)
    assert (tmp_path / "out" / "light" / "app").is_dir()


def test_unpack_refuses_a_wheel_that_is_not_locked(tmp_path: Path) -> None:
    make_wheel(tmp_path / "w", "six-1.17.0-py3-none-any.whl", {"six.py": ""})
    (tmp_path / "lock").write_text("six==1.17.0 --hash=sha256:" + "0" * 64)
    done = run_unpack(tmp_path / "w", tmp_path / "lock", tmp_path / "out")
    assert done.returncode == 1
    assert "which is not in the lock" in done.stderr
    assert "Traceback" not in done.stderr


def test_interpreter_library_is_compiled_at_its_own_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "lib"
    for name in ("json/decoder.py", "idlelib/run.py"):
        (library / name).parent.mkdir(parents=True)
        (library / name).write_text("x = 1\n")
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(library))
    unpack.compile_stdlib(tmp_path / "out")
    found = [path.name for path in (tmp_path / "out").rglob("*.pyc")]
    assert found == [f"decoder.{sys.implementation.cache_tag}.pyc"]
