"""Still another way to ship a line of code: a tar of the commit, and `crane append`."""

import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.timing import run


class CranePush:
    """Puts a folder of a git repository on the base image in the registry. It leaves entry point and environment as the base has them."""

    def __init__(self, program: Path, registry_url: str, base: str, code: Path) -> None:
        self._program = str(program)
        self._base = f"{urlsplit(registry_url).netloc}/{base}"
        self._code = code
        self._folder = tempfile.TemporaryDirectory()

    def __enter__(self) -> "CranePush":
        self.push()
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def push(self) -> None:
        """Pack the commit and append it, as two commands; the second tells the digest."""
        tar = str(Path(self._folder.name) / "code.tar")
        run("git", "-C", str(self._code.parent), "archive", "--prefix=app/", "--output", tar, "HEAD", self._code.name)
        name = f"{self._base.partition('@')[0]}:bench-crane"
        if "@sha256:" not in run(self._program, "append", "--base", self._base, "--new_layer", tar, "--new_tag", name):
            raise RuntimeError(f"`crane append` of `{name}` tells no digest")
