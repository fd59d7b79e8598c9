"""The same commit gives the same image, whoever pushes it from wherever: as a test of the whole way from a checkout to a digest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fakes.registry import serving
from tests.unit.images.test_code_image import BASE_CONFIG
from tests.unit.images.test_selection import git, needs_git

PUSH = """
import sys
from pathlib import Path
from images.code_image import CodeSettings
from images.code_push import CodePush
from images.digests import ImageRef
from images.layer import read_tree
from images.registry import RegistryClient
from images.selection import select_files
url, base, root, cache = sys.argv[1:]
tree = read_tree(Path(root), select_files(Path(root)))
settings = CodeSettings(entrypoint=("python3",), env={"B": "2", "A": "1"}, labels={"b": "2", "a": "1"})
base = ImageRef(repository="job", digest=base)
pushed = CodePush(RegistryClient(url, "job"), base, tree, settings, cache=Path(cache)).finish()
print(pushed.digest, pushed.treehash, len(tree.files))
"""
CODE = {
    "job/__init__.py": "",
    "job/run.py": "print(1)\n",
    "job/a/b.py": "x = 1\n",
    "naïve.py": "y = 2\n",
    "run.sh": "#!/bin/sh\n",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a checkout is made and pushed. `steps` are git's words after the folder of the repository is known."""

    name: str
    clone: tuple[str, ...] = ("clone", "--quiet", "{repository}", "{checkout}")
    umask: int = 0o022
    mtime_s: int | None = None
    rewrites: bool = False
    owner: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


WAYS = [
    Way(name="umask-077-and-old-files", umask=0o077, mtime_s=1),
    Way(name="umask-002", umask=0o002),
    Way(name="files-in-another-order", rewrites=True),
    Way(name="git-keeps-no-modes", clone=("clone", "-c", "core.fileMode=false", "--quiet", "{repository}", "{checkout}")),
    Way(name="git-worktree", clone=("-C", "{repository}", "worktree", "add", "--quiet", "{checkout}")),
    Way(name="files-of-another-user", owner=12345),
    Way(name="other-hash-seed-and-zone", environment={"PYTHONHASHSEED": "4711", "TZ": "Asia/Seoul", "HOME": "/nowhere"}),
    Way(name="locale-without-utf-8", environment={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one commit."""
    folder = tmp_path_factory.mktemp("repository")
    for name, text in CODE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "run.sh").chmod(0o755)
    (folder / "latest.py").symlink_to("naïve.py")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "all")
    return folder


@pytest.fixture(scope="module")
def expected(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return pushed_from(repository, tmp_path_factory.mktemp("cache"), {})


def pushed_from(root: Path, cache: Path, environment: Mapping[str, str]) -> str:
    """Digest, tree hash and number of files of the image of `root`, pushed by a process of its own to a registry of its own."""
    with serving() as registry:
        base = registry.add_image("job", BASE_CONFIG, [b"base layer"], "oci")
        ran = subprocess.run(
            [sys.executable, "-c", PUSH, registry.url, base, str(root), str(cache)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@needs_git
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_checkouts_of_one_commit_give_one_digest(way: Way, repository: Path, expected: str, tmp_path: Path) -> None:
    if way.owner is not None and os.getuid() != 0:
        pytest.skip("only root gives files away")
    checkout = tmp_path / "checkout"
    before = os.umask(way.umask)
    try:
        git(tmp_path, *(word.format(repository=repository, checkout=checkout) for word in way.clone))
        files = sorted(path for path in checkout.rglob("*") if not path.is_dir() and ".git" not in path.parts)
        if way.rewrites:
            write_backwards(files)
    finally:
        os.umask(before)
    for path in files:
        if way.mtime_s is not None:
            os.utime(path, (way.mtime_s, way.mtime_s), follow_symlinks=False)
        if way.owner is not None:
            os.chown(path, way.owner, way.owner, follow_symlinks=False)
    assert len(files) == len(CODE) + 1
    assert pushed_from(checkout, tmp_path / "cache", way.environment) == expected
    assert expected.endswith(f" {len(files)}\n")


def write_backwards(files: list[Path]) -> None:
    """Write the files anew, the last first, so that their folders list them in another order."""
    aside = files[0].parent.parent / "aside"
    aside.mkdir()
    for number, path in enumerate(files):
        shutil.move(path, aside / str(number))
    for number, path in reversed(list(enumerate(files))):
        shutil.move(aside / str(number), path)
