"""The command line by which a person runs an image as Batch does."""

from collections.abc import Iterable
from dataclasses import dataclass

from lifecycle.domain.job import contract

# Not the container's own folders, and not those of the models.
_VIDEO, _RESULTS = "/video", "/results"
SESSION = "by-hand"
PLACEHOLDER = "/PATH/TO"
# The network is cut off, so that nothing is stored elsewhere: without it the results go to files.
_LEFT_OUT = frozenset({contract.Env.DATABASE_URL.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A file or folder of this machine, and where the container sees it."""

    source: str
    target: str
    read_only: bool = True

    @property
    def words(self) -> tuple[str, str]:
        """The option. Unlike `--volume`, it makes no folder where `source` does not exist."""
        fields = ["type=bind", f"source={self.source}", f"target={self.target}"]
        return ("--mount", ",".join(map(_field, (*fields, *(["readonly"] if self.read_only else ())))))


@dataclass(frozen=True, slots=True, kw_only=True)
class HandRun:
    """`user` is `uid:gid`, `results` the folder for what the container finds; both are of the person who runs it.

    `runtime` is the folder with what an AMI brings besides models, for an image that wants it.
    """

    user: str
    results: str
    models: tuple[Mount, ...]
    runtime: str


def models_elsewhere() -> tuple[Mount, ...]:
    """The mounts of a job, from a place that the reader has to name."""
    return tuple(
        Mount(source=f"{PLACEHOLDER}/MODELS/{name}", target=f"{contract.DEFAULT_MODEL_ROOT}/{name}")
        for name in contract.MODEL_FOLDERS
    )


def runtime_elsewhere() -> str:
    """The runtime of an AMI, in a place that the reader has to name."""
    return f"{PLACEHOLDER}/MODELS/{contract.RUNTIME_FOLDER}"


def run_words(
    image: str, run: HandRun, *, video: str | None, environment: Iterable[str], gpus: int, runtime_mount: str = ""
) -> tuple[str, ...]:
    """`docker run …` for one local video, with no network; `runtime_mount` is where the image wants its runtime.

    `environment` are names of variables that a job has: their values, which may be secrets, are those of the shell.
    """
    mounts = (
        *run.models,
        *((Mount(source=run.runtime, target=runtime_mount),) if runtime_mount else ()),
        Mount(source=video or f"{PLACEHOLDER}/VIDEO.mp4", target=_VIDEO),
        Mount(source=run.results, target=_RESULTS, read_only=False),
    )
    env = contract.Env
    own = {env.VIDEO_URL: _VIDEO, env.RESULT_URL: _RESULTS, env.SESSION_ID: SESSION}
    given = (*sorted({*environment} - _LEFT_OUT - {*own}), *(f"{name}={value}" for name, value in own.items()))
    return (
        *("docker", "run", "--rm", "--pull", "never", "--network", "none", "--user", run.user),
        *(word for mount in mounts for word in mount.words),
        *(word for variable in given for word in ("--env", variable)),
        *(("--gpus", "all") if gpus else ()),
        image,
    )


def _field(text: str) -> str:
    """As the CSV that `--mount` takes."""
    if not {",", '"', "\n"} & {*text}:
        return text
    return '"' + text.replace('"', '""') + '"'
