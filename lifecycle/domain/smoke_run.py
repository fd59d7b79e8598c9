"""How long a smoke job worked, as it is kept for the release after to be compared with."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lifecycle.domain.analysis import part_of, whole_number
from lifecycle.domain.check import Check
from lifecycle.domain.digest import canonical_json
from lifecycle.domain.measures import duration_text

RUN_NAME = "smoke.json"
_SCHEMA = "capctl.smoke-run/1"

# The bundled clip takes 0.2 to 0.6 s on one and the same busy machine: a few seconds are no difference between releases.
_LEAST_MS = 10_000
# Reading 3 GB of models takes seconds from memory and ten minutes from a volume that was just made of a snapshot, whatever the release is
# like; the way of the video over the network is no better.
_NOT_WORK = ("models_ms", "fetch_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeRun:
    """One run of a smoke job: where, over what, and for how long without its reading of models and video; `work_ms` is 0 where the result
    does not tell. `video` is what the result says of it, "" the type of a host that was not seen; `gpu_memory_peak_bytes` is the most that
    the job held, None where it does not tell.
    """

    instance_type: str
    work_ms: int
    video: Mapping[str, Any] = field(default_factory=dict)
    gpu_memory_peak_bytes: int | None = None

    def is_like(self, other: "SmokeRun") -> bool:
        """Whether the time that both took can be compared."""
        return bool(self.instance_type and self.video) and (self.instance_type, self.video) == (
            other.instance_type,
            other.video,
        )

    @property
    def document(self) -> bytes:
        """As it is kept."""
        return canonical_json({"schema": _SCHEMA, **asdict(self)})


def smoke_run(document: Mapping[str, Any], instance_type: str) -> SmokeRun:
    """What the result of a job tells of its run."""
    timings = part_of(document, "timings")
    work_ms = _ms(timings, "total_ms") - sum(_ms(timings, name) for name in _NOT_WORK)
    return SmokeRun(
        instance_type=instance_type,
        work_ms=max(work_ms, 0),
        video=part_of(document, "video"),
        gpu_memory_peak_bytes=whole_number(part_of(document, "resources").get("gpu_memory_peak_bytes")),
    )


def kept_run(data: bytes) -> SmokeRun | None:
    """What `SmokeRun.document` kept; None for what another version of capctl did."""
    try:
        document = json.loads(data)
        if document["schema"] != _SCHEMA:
            return None
        return SmokeRun(**{name: document[name] for name in ("instance_type", "work_ms", "video")})
    except (ValueError, KeyError, TypeError):
        return None


def check_run_time(run: SmokeRun, earlier: Iterable[SmokeRun], *, percent: int, of_release: str) -> tuple[Check, ...]:
    """That a run took hardly longer than those that release `of_release` passed with; nothing where none of them is like it.

    The longest of them counts, since a host that has just started is slower than one that has worked for a while.
    """
    usual_ms = max((each.work_ms for each in earlier if run.is_like(each)), default=0)
    if not usual_ms:
        return ()
    limit_ms = max(usual_ms * percent // 100, usual_ms + _LEAST_MS)
    return (
        Check(
            name="run-time",
            ok=0 < run.work_ms <= limit_ms,
            expected=f"at most {duration_text(limit_ms / 1000)}, as release {of_release} took {duration_text(usual_ms / 1000)} "
            f"on {run.instance_type}",
            found=duration_text(run.work_ms / 1000) if run.work_ms else "no time",
            hint="Find what takes longer; where it is worth it, allow more with `smoke.max_run_percent`, or anything with 0"
            if run.work_ms
            else "Let the job's result hold `timings.total_ms`, or set `smoke.max_run_percent: 0`",
        ),
    )


def _ms(timings: Mapping[str, Any], name: str) -> int:
    return whole_number(timings.get(name)) or 0
