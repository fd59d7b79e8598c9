"""Wheels are unpacked into layers of a site, trimmed and compiled."""

import base64
import csv
import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from images.base import unpack
from images.base.trims import Trims
from tests.unit.images.base_parts import make_wheel


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


def write_trims(folder: Path) -> Path:
    path = folder / "trims.json"
    path.write_bytes(Trims(leave_out=("six/extra.py",)).document())
    return path


def test_unpack_sorts_packages_into_layers_and_compiles_them_for_good(tmp_path: Path) -> None:
    hashes = [
        make_wheel(
            tmp_path / "w", "av-18.1.0-cp311-abi3-x.whl", {"av/__init__.py": "x = 1\n", "av/tests/test_a.py": ""}
        ),
        make_wheel(tmp_path / "w", "six-1.17.0-py2.py3-none-any.whl", {"six.py": "y = {'a', 'b'}\n"}),
    ]
    (tmp_path / "lock").write_text("".join(f"x==1 --hash=sha256:{each}\n" for each in hashes))
    done = run_unpack(tmp_path / "w", tmp_path / "lock", write_trims(tmp_path), tmp_path / "out")
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
    done = run_unpack(tmp_path / "w", tmp_path / "lock", write_trims(tmp_path), tmp_path / "out")
    assert done.returncode == 1
    assert "which is not in the lock" in done.stderr
    assert "Traceback" not in done.stderr


def test_each_line_of_a_record_is_true_of_the_layers(tmp_path: Path) -> None:
    files = {
        "six/__init__.py": "x = 1\n",
        "six/extra.py": "left out by the configuration\n",
        "six/a, b.py": "y = 1\n",
        "six/tests/test_six.py": "left out by default\n",
        "six-1.17.0.data/purelib/moved.py": "z = 1\n",
        "six-1.17.0.data/scripts/six": "goes nowhere\n",
        "six-1.17.0.dist-info/METADATA": "Name: six\n",
    }
    rows = [[path, hash_of(text.encode()), str(len(text))] for path, text in files.items()]
    record = io.StringIO()
    csv.writer(record).writerows([*rows, ["six-1.17.0.dist-info/RECORD", "", ""], ["../../bin/six", "", ""]])
    name = "six-1.17.0-py3-none-any.whl"
    hashed = make_wheel(tmp_path / "w", name, {**files, "six-1.17.0.dist-info/RECORD": record.getvalue()})
    (tmp_path / "lock").write_text(f"six==1.17.0 --hash=sha256:{hashed}\n")
    done = run_unpack(tmp_path / "w", tmp_path / "lock", write_trims(tmp_path), tmp_path / "out")
    assert done.returncode == 0, done.stderr
    site = tmp_path / "out" / "light" / "opt" / "site"
    listed = list(csv.reader((site / "six-1.17.0.dist-info" / "RECORD").read_text().splitlines()))
    assert [row[0] for row in listed] == [
        *("six/__init__.py", "six/a, b.py", "moved.py"),
        *("six-1.17.0.dist-info/METADATA", "six-1.17.0.dist-info/RECORD"),
    ]
    for path, digest, size in listed[:-1]:
        content = (site / path).read_bytes()
        assert (digest, int(size)) == (hash_of(content), len(content))


@pytest.mark.parametrize("share", [True, False])
def test_ffmpeg_that_is_not_proved_to_serve_stays_and_the_build_says_why(tmp_path: Path, share: bool) -> None:
    versions = {"libavcodec-{}.so.62.28.102": "codec", "libavformat-{}.so.62.12.102": "format"}
    wheels = {
        "av-18.1.0-cp311-abi3-x.whl": {f"av.libs/{name.format('11111111')}": text for name, text in versions.items()},
        "opencv_python_headless-4.14.0-cp37-abi3-x.whl": {
            f"opencv_python_headless.libs/{name.format('22222222')}": text for name, text in versions.items()
        },
    }
    hashes = [make_wheel(tmp_path / "w", name, files) for name, files in wheels.items()]
    (tmp_path / "lock").write_text("".join(f"x==1 --hash=sha256:{each}\n" for each in hashes))
    (tmp_path / "trims.json").write_bytes(Trims(share_ffmpeg=share).document())
    done = run_unpack(tmp_path / "w", tmp_path / "lock", tmp_path / "trims.json", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    libraries = sorted((tmp_path / "out" / "vision").rglob("*.so*"))
    assert [(path.read_text(), path.is_symlink()) for path in libraries] == [("codec", False), ("format", False)]
    said = done.stdout.splitlines()
    if share:
        assert len(said) == 1
        assert said[0].startswith("OpenCV keeps its own FFmpeg: ")
        assert "libavcodec-11111111.so.62.28.102" in said[0]
    else:
        assert said == []


def hash_of(content: bytes) -> str:
    """As a `RECORD` writes it."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


def test_interpreter_library_is_compiled_at_its_own_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "lib"
    for name in ("json/decoder.py", "idlelib/run.py", "pydoc.py"):
        (library / name).parent.mkdir(parents=True, exist_ok=True)
        (library / name).write_text("x = 1\n")
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(library))
    unpack.compile_stdlib(tmp_path / "out")
    found = [path.name for path in (tmp_path / "out").rglob("*.pyc")]
    assert found == [f"decoder.{sys.implementation.cache_tag}.pyc"]
