"""The page that CI shows people of a release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cli.markdown import block, code, prose, table
from lifecycle.domain.digest import brief
from lifecycle.domain.measures import counted
from lifecycle.domain.shipment import Outcome, outcome_of
from lifecycle.domain.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lifecycle.domain.release import Pointer
    from lifecycle.domain.shipment import Shipment, Stage
    from lifecycle.domain.smoke import SmokeReport
    from lifecycle.errors import CapctlError

_DETAILS = 40  # lines; the log has all


def shipment_page(shipment: Shipment, failure: CapctlError | None, *, target: str) -> str:
    """What came of a release, for people; it may have failed in a stage, or before the first."""
    return _page(_parts(shipment, failure, target))


def dry_run_page(plan: str, *, target: str) -> str:
    """What a release would do; `plan` as it was printed."""
    return _page((f"## Release to {code(target)}: a dry run", block(plan.splitlines())))


def failure_page(failure: CapctlError | None) -> str:
    """Of a release without a target."""
    return _page(("## Release: failed", *(_failure(failure, details=failure.details) if failure else ())))


def _page(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"


def _parts(shipment: Shipment, failure: CapctlError | None, target: str) -> Iterator[str]:
    yield f"## Release to {code(target)}: {_title(shipment, failure)}"
    if failure:
        # The checks of a smoke job stand below.
        yield from _failure(failure, details=() if shipment.smoke else failure.details)
    yield table(
        ("stage", "result", "", "#seconds"),
        [(stage.name, stage.outcome.words, prose(stage.told), _seconds(stage)) for stage in shipment.stages],
    )
    yield table(("", ""), _facts(shipment, failure))
    if shipment.smoke:
        yield from _smoke(shipment.smoke)
    # Of a job that left no result to check, the failure tells how far it came.
    way = shipment.smoke.timeline if shipment.smoke else failure and failure.evidence.get("timeline")
    if isinstance(way, Timeline) and way.phases:
        yield from _way(way)
    yield from (f"**Warning:** {prose(warning)}" for warning in shipment.warnings)
    if shipment.way_back:
        yield f"To roll back: {code(f'capctl --target {target} rollback --to {shipment.way_back}')}"


def _seconds(stage: Stage) -> str:
    """None for a stage that was not begun, though it took time to plan."""
    return "" if stage.outcome in {Outcome.NOT_REACHED, Outcome.LEFT_OUT} else f"{stage.seconds:.1f}"


def _title(shipment: Shipment, failure: CapctlError | None) -> str:
    if failure:
        return outcome_of(failure).words
    return f"{code(shipment.release_id)} is active" if shipment.is_changed else "nothing to do"


def _failure(failure: CapctlError, *, details: Iterable[str]) -> Iterator[str]:
    yield f"**{code(failure.code)}:** {prose(failure.message)}"
    lines = [line for detail in details for line in detail.splitlines()]
    if lines:
        yield block(lines[-_DETAILS:])
    if failure.hint:
        yield f"**What next:** {prose(failure.hint)}"


def _facts(shipment: Shipment, failure: CapctlError | None) -> Iterator[tuple[str, str]]:
    source, before, after = shipment.source, shipment.before, shipment.after
    yield "release", code(shipment.release_id) or "-"
    yield "AMI", code(shipment.ami or "") or "-"
    yield "image", code(str(shipment.image or "")) or "-"
    if source and source.commit:
        others = f", and {counted(len(source.uncommitted), 'file')} not as in it" if source.uncommitted else ""
        yield "commit", f"{code(source.commit)}{others}"
    known = before or after or not failure
    yield "pointer", _move(before, after) if known else "-"
    if after and after != before and after.reason:
        yield "reason", prose(after.reason)


def _move(before: Pointer | None, after: Pointer | None) -> str:
    old, new = (code(pointer.release_id) if pointer else "none" for pointer in (before, after))
    return f"{old} → {new}" if old != new else f"{new}, as before"


def _smoke(report: SmokeReport) -> Iterator[str]:
    verdict = "passed" if report.ok else "failed"
    yield f"### Smoke job {code(report.job_id)} {verdict} in {report.seconds:.1f} s"
    rows = [
        (
            "ok" if check.ok else Outcome.FAILED.value,
            check.name,
            prose(brief(check.expected)),
            prose(brief(check.found)),
        )
        for check in report.checks
    ]
    yield table(("", "check", "expected", "found"), rows)


def _way(timeline: Timeline) -> Iterator[str]:
    rows = [(phase.end.point, phase.what, f"{phase.seconds:.1f}") for phase in timeline.phases]
    yield table(("the job came to", "by", "#seconds"), [tuple(map(prose, row)) for row in rows])
    if timeline.slowest:
        yield f"Slowest: {prose(timeline.slowest.line)}"
