"""The JSON documents about smokes, as in `lifecycle.cli.documents`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lifecycle.cli.documents import Document, checks
from lifecycle.cli.job_documents import moment

if TYPE_CHECKING:
    from lifecycle.domain.smoke import SmokeReport
    from lifecycle.domain.timeline import Phase, Timeline


def smoke(report: SmokeReport) -> Document:
    """A smoke job and what was checked of it; `seconds` from submission to the end of the job, `instance_type` is `null` for a host
    that went before anybody asked it, and `gpu_memory_peak_bytes` where the job does not tell.

    Of each point of `timeline`, `source` is who says when: `batch` or `container` exactly, `seen` for the look that saw it first; `seconds`
    is the way to it from the point before, and `phase` what that was. `slowest` is the phase that took longest beyond what is usual, or
    longest where none did; `usual_seconds` is `null` where nobody can say.
    """
    return {
        "release_id": report.release_id,
        "job_id": report.job_id,
        "session_id": report.session_id,
        "video_url": report.video_url,
        "result_uri": report.result_uri,
        "instance_type": report.instance_type or None,
        "gpu_memory_peak_bytes": report.gpu_memory_peak_bytes,
        "seconds": report.seconds,
        "ok": report.ok,
        "checks": checks(report.checks),
        **timeline(report.timeline),
    }


def timeline(found: Timeline) -> Mapping[str, Any]:
    """How far a job came, and when."""
    ways = (None, *found.phases)
    return {
        "timeline": [
            {
                "point": mark.point,
                "at": moment(mark.at_ms),
                "source": mark.source,
                "seconds": way.seconds if way else None,
                "phase": way.what if way else None,
            }
            for mark, way in zip(found.marks, ways, strict=False)
        ],
        "slowest": _slowest(found.slowest) if found.slowest else None,
    }


def _slowest(phase: Phase) -> Document:
    return {
        "from": phase.begin.point,
        "to": phase.end.point,
        "seconds": phase.seconds,
        "usual_seconds": phase.usual_s,
        "phase": phase.what,
    }
