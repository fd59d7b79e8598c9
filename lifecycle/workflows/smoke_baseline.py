"""How long a smoke job ran, beside that of the release before."""

from typing import Any

from lifecycle.config.target import Target
from lifecycle.domain.analysis import parse_result
from lifecycle.domain.check import Check
from lifecycle.domain.job import contract
from lifecycle.domain.layout import Folder
from lifecycle.domain.measures import duration_text
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports

# Runs of a short clip differ by seconds, whatever the release is like.
_GRACE_MS = 10_000


def session_beginning(release_id: str) -> str:
    """How the session ids of a release's smoke jobs begin; they end with the id of the run, which begins with its time."""
    return f"smoke-{release_id}-"


def check_run_time(ports: Ports, target: Target, release_id: str, document: dict[str, Any]) -> tuple[Check, ...]:
    """That the container worked hardly longer than that of the release before; none where that is not asked for, or there is no smoke of
    the same video to compare with."""
    percent = target.settings.smoke.max_run_percent
    before = _release_before(ports, release_id) if percent else None
    if not percent or not before:
        return ()
    earlier = _latest_result(ports, target, before)
    usual_ms, took_ms = _run_ms(earlier), _run_ms(document)
    if not usual_ms or earlier.get("video") != document.get("video"):
        return ()
    limit_ms = usual_ms * percent // 100 + _GRACE_MS
    usual = duration_text(usual_ms / 1000)
    return (
        Check(
            name="run-time",
            ok=0 < took_ms <= limit_ms,
            expected=f"at most {duration_text(limit_ms / 1000)}: {percent} % of {usual} of release {before}, and 10 s",
            found=duration_text(took_ms / 1000) if took_ms else "no time",
        ),
    )


def _release_before(ports: Ports, release_id: str) -> str:
    """The release that takes jobs, or the one before it if that is `release_id`; "" for none."""
    pointer = ports.pointers.read()
    if pointer is None:
        return ""
    return pointer.release_id if pointer.release_id != release_id else pointer.previous_release_id


def _latest_result(ports: Ports, target: Target, release_id: str) -> dict[str, Any]:
    stored = ports.objects.list(target.uri(Folder.SMOKE, session_beginning(release_id)))
    results = [found.uri for found in stored if found.uri.endswith(f"/{contract.RESULT_NAME}")]
    if not results:
        return {}
    try:
        return parse_result(b"".join(ports.objects.chunks(results[-1])), results[-1])
    except CapctlError as error:
        # Another release's result is no fault of this one.
        if error.code not in {"result-invalid", "object-missing"}:
            raise
        return {}


def _run_ms(document: dict[str, Any]) -> int:
    return int((document.get("timings") or {}).get("total_ms") or 0)
