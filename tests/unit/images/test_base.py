from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from images.base import unpack
from images.base.archives import host_suite
from images.base.dockerfile import base_tag, render_dockerfile
from images.base.recipe import OfficialRoot, context_tar, plan_base
from images.base.root_filesystem import python_minor, rewrite_root
from images.base.wheelhouse import pip_command, wheelhouse
from images.errors import BaseInvalid, RootFilesystemFailed, ToolMissing, WheelhouseFailed

FACTS: dict[str, Any] = {
    "from_image": "capctl-root:0123456789ab",
    "python": "3.11",
    "lock_sha256": "f" * 64,
    "root": "sha256:" + "0" * 64,
}


@pytest.mark.parametrize("builder", ["classic", "buildkit"])
def test_dockerfile_keeps_wheels_out_of_the_image_and_runs_as_nobody(builder: Any) -> None:
    text = render_dockerfile(builder=builder, **FACTS)
    first, second = text.split("\n\n")
    assert "wheelhouse" in first
    assert "wheelhouse" not in second
    assert "RUN" not in second
    assert "USER 65532:65532\n" in second
    assert 'ENTRYPOINT ["python3"]' in second
    assert "PYTHONPATH=/app:/opt/site" in second
    assert "PYTHONDONTWRITEBYTECODE=1" in second
    assert "WORKDIR /app" in second
    assert f"LABEL dev.capctl.lock-sha256={'f' * 64}\n" in second
    assert "LABEL dev.capctl.python=3.11\n" in second


def test_buildkit_binds_the_context_and_classic_copies_it() -> None:
    classic, buildkit = (render_dockerfile(builder=builder, **FACTS) for builder in ("classic", "buildkit"))
    assert "--mount" not in classic
    assert "COPY . /build/" in classic
    assert "RUN --mount=type=bind" in buildkit
    assert classic.split("\n\n")[1] == buildkit.split("\n\n")[1]
    for text in (classic, buildkit):
        assert "# syntax" not in text
        assert "--link" not in text


def test_stage_labels_do_not_reach_the_base() -> None:
    first, second = render_dockerfile(builder="classic", stage_labels={"run": "abc"}, **FACTS).split("\n\n")
    assert "LABEL run=abc\n" in first
    assert "run=abc" not in second


@pytest.mark.parametrize("value", ["a b", "x\nRUN y", "", "$(x)"])
def test_values_that_would_change_the_dockerfile_are_refused(value: str) -> None:
    with pytest.raises(BaseInvalid, match="cannot stand in a Dockerfile"):
        render_dockerfile(builder="classic", **{**FACTS, "from_image": value})


def test_base_tag_depends_on_lock_root_python_and_recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    original = base_tag(lock_sha256="a", root="b", python="3.11")
    assert original == base_tag(lock_sha256="a", root="b", python="3.11")
    assert original.startswith("base-")
    assert len(original) == len("base-") + 12
    tags = {
        original,
        base_tag(lock_sha256="x", root="b", python="3.11"),
        base_tag(lock_sha256="a", root="x", python="3.11"),
    }
    tags.add(base_tag(lock_sha256="a", root="b", python="3.12"))
    (tmp_path / "other.j2").write_text("FROM x")
    monkeypatch.setattr("images.base.dockerfile._TEMPLATE", tmp_path / "other.j2")
    tags.add(base_tag(lock_sha256="a", root="b", python="3.11"))
    assert len(tags) == 5


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


def make_wheel(folder: Path, name: str, files: dict[str, str]) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return hashlib.sha256((folder / name).read_bytes()).hexdigest()


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


LOCK = "six==1.17.0 --hash=sha256:" + "0" * 64 + "\n"


class FakePip:
    """Stands for pip: writes one wheel, or fails with `stderr`."""

    def __init__(self, stderr: str = "") -> None:
        self.stderr = stderr
        self.calls: list[list[str]] = []

    def __call__(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        self.calls.append(command)
        Path(command[command.index("--dest") + 1], "six.whl").write_text("wheel")
        return subprocess.CompletedProcess(command, 1 if self.stderr else 0, "", self.stderr)


def test_wheelhouse_is_downloaded_once_for_each_lock_and_python(tmp_path: Path) -> None:
    lock, pip = tmp_path / "x.lock", FakePip()
    lock.write_text(LOCK)
    first = wheelhouse(lock, "3.11", tmp_path / "cache", run=pip)
    assert wheelhouse(lock, "3.11", tmp_path / "cache", run=pip) == first
    assert [path.name for path in first.iterdir()] == ["six.whl"]
    assert wheelhouse(lock, "3.12", tmp_path / "cache", run=pip) != first
    lock.write_text(LOCK + "# changed\n")
    assert wheelhouse(lock, "3.11", tmp_path / "cache", run=pip) != first
    assert len(pip.calls) == 3


@pytest.mark.parametrize(
    ("stderr", "error", "said"),
    [
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", WheelhouseFailed, "DO NOT MATCH"),
        ("/usr/bin/python3: No module named pip", ToolMissing, "has no pip"),
    ],
)
def test_failed_download_leaves_nothing(tmp_path: Path, stderr: str, error: Any, said: str) -> None:
    (tmp_path / "x.lock").write_text(LOCK)
    with pytest.raises(error, match=said) as caught:
        wheelhouse(tmp_path / "x.lock", "3.11", tmp_path / "cache", run=FakePip(stderr))
    assert caught.value.hint
    assert list((tmp_path / "cache" / "wheelhouse").iterdir()) == []


def test_pip_checks_hashes_and_takes_wheels_only(tmp_path: Path) -> None:
    command = pip_command(tmp_path / "x.lock", "3.12", "x86_64", tmp_path)
    assert {"--require-hashes", "--only-binary=:all:", "--no-deps", "cp312", "manylinux_2_28_x86_64"} <= {*command}


@pytest.mark.parametrize("python", ["3", "3.11.2", "two"])
def test_python_must_be_a_minor_version(tmp_path: Path, python: str) -> None:
    with pytest.raises(BaseInvalid, match="not a Python minor"):
        wheelhouse(tmp_path / "x.lock", python, tmp_path)


RAW_ROOT: tuple[tuple[str, bytes, int, str], ...] = (
    ("./", tarfile.DIRTYPE, 0o755, ""),
    ("./usr/bin/python3.11", tarfile.REGTYPE, 0o755, "elf"),
    ("./usr/bin/su", tarfile.REGTYPE, 0o4755, "elf"),
    ("./usr/bin/alias", tarfile.LNKTYPE, 0o755, "./usr/bin/su"),
    ("./usr/bin/python3", tarfile.SYMTYPE, 0o777, "python3.11"),
    ("./usr/share/doc/x/copyright", tarfile.REGTYPE, 0o644, "text"),
    ("./usr/share/base-passwd/passwd.master", tarfile.REGTYPE, 0o644, "root:*:0:0::/root:/bin/sh\n"),
    ("./usr/share/base-passwd/group.master", tarfile.REGTYPE, 0o644, "root:*:0:\n"),
    ("./usr/share/ca-certificates/mozilla/b.crt", tarfile.REGTYPE, 0o644, "B\n"),
    ("./usr/share/ca-certificates/mozilla/a.crt", tarfile.REGTYPE, 0o644, "A\n"),
    ("./bin/dash", tarfile.REGTYPE, 0o755, "elf"),
    ("./dev/null", tarfile.CHRTYPE, 0o666, ""),
    ("./var/cache/apt/x.bin", tarfile.REGTYPE, 0o644, "x"),
    ("./tmp", tarfile.DIRTYPE, 0o755, ""),
)


def raw_root(path: Path, mtime_s: int, skip: str = "nothing") -> Path:
    with tarfile.open(path, "w") as tar:
        for name, kind, mode, content in RAW_ROOT:
            if skip in name:
                continue
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.mtime = kind, mode, mtime_s
            if kind == tarfile.REGTYPE:
                member.size = len(content)
            else:
                member.linkname = content
            tar.addfile(member, io.BytesIO(content.encode()) if kind == tarfile.REGTYPE else None)
    return path


def test_root_is_trimmed_completed_and_the_same_at_any_time(tmp_path: Path) -> None:
    rewrite_root(raw_root(tmp_path / "1.raw", 1), tmp_path / "1.tar")
    rewrite_root(raw_root(tmp_path / "2.raw", 2), tmp_path / "2.tar")
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()
    with tarfile.open(tmp_path / "1.tar") as tar:
        members = {member.name: member for member in tar}

        def text(name: str) -> bytes:
            stream = tar.extractfile(name)
            assert stream is not None
            return stream.read()

        assert text("etc/ssl/certs/ca-certificates.crt") == b"A\nB\n"
        assert text("etc/passwd").startswith(b"root:")
        assert text("usr/bin/alias") == b"elf"
    assert members["bin/sh"].linkname == "dash"
    assert members["usr/bin/su"].mode == 0o755
    assert members["tmp"].mode == 0o1777
    assert not {"dev/null", "usr/share/doc/x/copyright", "var/cache/apt/x.bin"} & members.keys()
    assert list(members) == sorted(members, key=str.encode)
    assert python_minor(tmp_path / "1.tar") == "3.11"


@pytest.mark.parametrize(("skip", "said"), [("python3.11", "0 Pythons"), ("passwd.master", "hold no")])
def test_root_without_what_it_needs_is_refused(tmp_path: Path, skip: str, said: str) -> None:
    raw = raw_root(tmp_path / "raw", 1, skip)
    with pytest.raises(RootFilesystemFailed, match=said):  # noqa: PT012
        rewrite_root(raw, tmp_path / "tar")
        python_minor(tmp_path / "tar")


def test_suite_is_that_of_a_debian_or_ubuntu() -> None:
    assert host_suite({"ID": "ubuntu", "ID_LIKE": "debian", "VERSION_CODENAME": "noble"}) == "noble"
    with pytest.raises(RootFilesystemFailed, match="fedora"):
        host_suite({"ID": "fedora", "VERSION_CODENAME": ""})


def test_context_is_the_same_for_the_same_inputs(tmp_path: Path) -> None:
    lock, wheels = tmp_path / "x.lock", tmp_path / "wheels"
    lock.write_text(LOCK)
    make_wheel(wheels, "six.whl", {"six.py": ""})
    paths = []
    for number in (1, 2):
        os.utime(wheels / "six.whl", (number, number))
        paths.append(
            context_tar(tmp_path / f"{number}.tar", dockerfile="FROM x\n", requirements_lock=lock, wheels=wheels)
        )
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with tarfile.open(paths[0]) as tar:
        assert tar.getnames() == ["Dockerfile", "requirements.lock", "unpack.py", "wheelhouse/six.whl"]


def test_official_root_must_be_pinned_and_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "x.lock"
    lock.write_text(LOCK)
    monkeypatch.setattr("images.base.recipe.wheelhouse", lambda _lock, python, _cache, **_kw: tmp_path / python)
    pinned = "python@sha256:" + "1" * 64
    recipe = plan_base(lock, tmp_path, official_root=OfficialRoot(image=pinned, python="3.12"))
    assert (recipe.root_tar, recipe.from_image, recipe.python) == (None, pinned, "3.12")
    assert recipe.wheels == tmp_path / "3.12"
    with pytest.raises(BaseInvalid, match="not pinned by digest"):
        plan_base(lock, tmp_path, official_root=OfficialRoot(image="python:3.12-slim", python="3.12"))


def test_missing_lock_is_named(tmp_path: Path) -> None:
    with pytest.raises(BaseInvalid, match=r"x\.lock"):
        plan_base(tmp_path / "x.lock", tmp_path)
