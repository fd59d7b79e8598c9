"""The other way to ship a line of code: `docker build` and `docker push`."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.timing import run

# By it, the engine's images of superseded rounds are found again.
LABEL = "dev.capctl.bench"


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """A docker command line, and which of the engine's two builders it is told to use."""

    program: str
    is_classic: bool

    @property
    def name(self) -> str:
        return "classic builder" if self.is_classic else "BuildKit"

    @property
    def environment(self) -> dict[str, str]:
        return {"DOCKER_BUILDKIT": "0" if self.is_classic else "1"}


def builders() -> list[Builder]:
    """The classic builder of the first `docker` on PATH, and BuildKit where one of the installed ones has it."""
    program = shutil.which("docker")
    if program is None:
        raise RuntimeError("`docker` is not installed; run `make setup`")
    found = [Builder(program=program, is_classic=True)]
    for candidate in dict.fromkeys((program, "/usr/bin/docker")):
        builder = Builder(program=candidate, is_classic=False)
        if Path(candidate).exists() and _builds(builder):
            return [*found, builder]
    return found


class EnginePush:
    """Puts a folder on the base image and pushes it. The engine has the base, and its cache is warm.

    With `code_last` the Dockerfile is the fastest there is: a changed line costs the copy alone. Else the metadata follows
    the code, as in most Dockerfiles, and is made anew with it.
    """

    def __init__(self, builder: Builder, registry_url: str, base: str, code: Path, *, code_last: bool) -> None:
        self._builder = builder
        self._base = f"{urlsplit(registry_url).netloc}/{base}"
        self._code = code
        self._code_last = code_last
        self._name = f"{self._base.partition('@')[0]}:bench-{builder.name.split()[0].lower()}"
        self._dockerfile = Path(tempfile.mkdtemp()) / "Dockerfile"

    def __enter__(self) -> "EnginePush":
        metadata = f'LABEL {LABEL}={self._name}\nENTRYPOINT ["python3", "-m", "analyzer", "batch"]'
        copy = f"COPY . /app/{self._code.name}"
        lines = [f"FROM {self._base}", *((metadata, copy) if self._code_last else (copy, metadata))]
        self._dockerfile.write_text("\n".join(lines) + "\n")
        self._docker("pull", "--quiet", self._base)
        self.push()
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._dockerfile.parent)
        self._docker("image", "rm", "--force", self._name, self._base)
        self._docker("image", "prune", "--force", "--filter", f"label={LABEL}={self._name}")

    def push(self) -> None:
        """Build and push, as two commands; the second tells the digest, which a release is pinned by."""
        self._docker("build", "--quiet", "--tag", self._name, "--file", str(self._dockerfile), str(self._code))
        if "digest: sha256:" not in self._docker("push", self._name):
            raise RuntimeError(f"`docker push {self._name}` tells no digest")

    def _docker(self, *words: str) -> str:
        return run(self._builder.program, *words, environment=self._builder.environment)


def _builds(builder: Builder) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
        try:
            image = run(builder.program, "build", "--quiet", folder, environment=builder.environment).strip()
        except RuntimeError:
            return False
        run(builder.program, "image", "rm", "--force", image)
        return True
