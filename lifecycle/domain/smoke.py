"""What a smoke job must prove, decided from what it left behind."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from lifecycle.domain.analysis import part_of, whole_number
from lifecycle.domain.check import Check
from lifecycle.domain.job import JobHost, JobRecord
from lifecycle.domain.measures import first_few
from lifecycle.domain.release import DeployedRelease
from lifecycle.domain.timeline import Timeline

# What the analyzer says of a video that decoded to its end.
_WHOLE = "succeeded"
_OF_ANOTHER_JOB = (
    "The job is another one than the analyzer, or an earlier version of it: let its result hold `status` and "
    "`coverage.sampled_frames`, or set `smoke.min_frames: 0`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeReport:
    """A smoke job, its checks and its way. `seconds` from submission to the end of the job; `instance_type` is that of the host of its last
    attempt, "" for one that went before anybody asked it. `gpu_memory_peak_bytes` is the most that the job
    held, None where it does not tell.
    """

    release_id: str
    job_id: str
    session_id: str
    video_url: str
    result_uri: str
    instance_type: str
    gpu_memory_peak_bytes: int | None
    seconds: float
    checks: tuple[Check, ...]
    timeline: Timeline

    def __str__(self) -> str:
        return f"job {self.job_id}, {self.seconds:.1f} s"

    @property
    def ok(self) -> bool:
        """Whether every check held."""
        return all(check.ok for check in self.checks)

    @property
    def is_verdict(self) -> bool:
        """Whether something that was seen is not as it should be."""
        return any(check.is_seen and not check.ok for check in self.checks)

    @property
    def hint(self) -> str:
        """What mends the first thing that is wrong, where that can be said."""
        wrong = (check.hint for check in self.checks if check.is_seen and not check.ok)
        return next(filter(None, wrong), f"Read `capctl job logs {self.job_id}` and `{self.result_uri}`")


def check_host(job: JobRecord, release: DeployedRelease, host: JobHost | None) -> tuple[Check, ...]:
    """That the pair really ran: this image, on a host that booted this AMI; None for a host that went before anybody asked it."""
    return (
        Check(
            name="image",
            ok=job.image.endswith(f"@{release.image.digest}"),
            expected=str(release.image.digest),
            found=job.image.rpartition("@")[2] or "no image",
        ),
        Check(
            name="host-ami",
            ok=host is not None and host.ami_id == release.ami_id,
            expected=release.ami_id,
            found=host.ami_id if host else "no host any more",
            is_seen=host is not None,
        ),
    )


def check_analysis(document: dict[str, Any], *, min_frames: int) -> tuple[Check, ...]:
    """That the container read the whole video, and looked at so many frames of it; nothing of either with 0."""
    if not min_frames:
        return ()
    told = part_of(document, "coverage")
    status, frames = document.get("status"), whole_number(told.get("sampled_frames"))
    why = f": {told['first_error']}" if told.get("first_error") else ""
    return (
        Check(
            name="status",
            ok=status == _WHOLE,
            expected=_WHOLE,
            found=f"{status}{why}" if isinstance(status, str) else "no status",
            hint="Name a video in `smoke.video_url` that decodes to its end, or correct what the job says of this one"
            if isinstance(status, str)
            else _OF_ANOTHER_JOB,
        ),
        Check(
            name="frames",
            ok=frames is not None and frames >= min_frames,
            expected=f"at least {min_frames}",
            found="no number of frames" if frames is None else str(frames),
            hint=_OF_ANOTHER_JOB if frames is None else "",
        ),
    )


def check_document(
    document: dict[str, Any], release: DeployedRelease, *, min_tracks: int, is_golden: bool = False
) -> tuple[Check, ...]:
    """That the container did its work, with the models of the release, which it could not change."""
    models = document.get("models") or {}
    found = document.get("tracks")
    tracks = len(found) if isinstance(found, list) else -1
    return (
        Check(
            name="tracks",
            ok=tracks >= min_tracks,
            expected=f"at least {min_tracks}{' in the generated clip' if is_golden else ''}",
            found=str(tracks) if tracks >= 0 else "no list of tracks",
        ),
        Check(
            name="model-set",
            ok=models.get("digest") == release.model_set,
            expected=release.model_set,
            found=str(models.get("digest") or "no models"),
        ),
        Check(
            name="models-read-only",
            ok=models.get("read_only") is True,
            expected="every mount refuses writes",
            found="; ".join(f"{mount['folder']}: {_access(mount)}" for mount in models.get("mounts") or ())
            or "no mounts",
        ),
    )


def check_rows(document: dict[str, Any], counted: dict[str, int]) -> Check:
    """That the database holds the rows that the container says it stored."""
    stored = document.get("stored") or {}
    claimed = stored.get("rows") or {}
    return Check(
        name="rows",
        ok=stored.get("store") == "postgres" and bool(claimed) and counted == claimed,
        expected=_counts(claimed) if stored.get("store") == "postgres" else "rows in PostgreSQL",
        found=_counts(counted),
    )


def check_vectors(document: dict[str, Any], stored: Collection[int], *, dimension: int | None) -> tuple[Check, ...]:
    """That the vectors have `dimension`, or where that is None the one that the result names; nothing where neither is known.

    `stored` are the dimensions of those in the database.
    """
    told = whole_number(part_of(part_of(document, "backend"), "embedding").get("dimension"))
    wanted = dimension or told
    if not wanted:
        return ()
    found = {*stored, *([told] if told else [])}
    return (
        Check(
            name="vectors",
            ok=found == {wanted},
            expected=f"dimension {wanted}",
            found=f"dimension {', '.join(map(str, sorted(found)))}" if found else "no dimension",
            hint="Vectors of another dimension are never found beside those that are there; where they shall differ, change "
            "`smoke.vector_dimension`"
            if found
            else "Let the result hold `backend.embedding.dimension`, or leave `smoke.vector_dimension` out",
        ),
    )


def thumbnail_names(document: dict[str, Any]) -> frozenset[str]:
    """The thumbnails that the result names, by their path below its folder."""
    tracks = document.get("tracks")
    named = (part_of(track, "thumbnails") for track in (tracks if isinstance(tracks, list) else ()))
    return frozenset(str(name) for kinds in named for name in kinds.values())


def check_thumbnails(named: Collection[str], sizes: Mapping[str, int]) -> tuple[Check, ...]:
    """That what the result names is stored and not empty; nothing where it names none. `sizes` are the bytes of what is stored."""
    missing = sorted(name for name in named if not sizes.get(name))
    if not named:
        return ()
    return (
        Check(
            name="thumbnails",
            ok=not missing,
            expected=f"{len(named)}, as the result names them",
            found=f"not {first_few(missing, most=3)}" if missing else str(len(named)),
        ),
    )


def _access(mount: dict[str, Any]) -> str:
    return "read-only" if mount.get("read_only") else "writable"


def _counts(rows: dict[str, int]) -> str:
    return ", ".join(f"{table} {count}" for table, count in sorted(rows.items())) or "no rows"
