"""Findings: how a tag tells them, and which of two stands."""

from __future__ import annotations

import pytest

from lifecycle.domain.proof import Finding, Level, combined, parse_finding

AT, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def finding(level: Level, *, failed: bool = False, at: str = AT) -> Finding:
    return Finding(level=level, is_failure=failed, at=at)


@pytest.mark.parametrize("failed", [False, True])
@pytest.mark.parametrize("level", Level)
def test_finding_is_read_as_it_was_written(level: Level, *, failed: bool) -> None:
    assert parse_finding(str(finding(level, failed=failed))) == finding(level, failed=failed)


@pytest.mark.parametrize(("text", "is_failure"), [("", None), ("signed 2027", None), (f"failed {AT}", True)])
def test_failure_that_tells_no_level_is_one_and_other_words_are_none(text: str, is_failure: bool | None) -> None:
    found = parse_finding(text)
    assert (found and found.is_failure) == is_failure


@pytest.mark.parametrize(
    ("last", "new", "stands"),
    [
        (None, finding(Level.PAYLOAD), finding(Level.PAYLOAD)),
        (finding(Level.PAYLOAD, failed=True), finding(Level.PAYLOAD, at=LATER), finding(Level.PAYLOAD, at=LATER)),
        (finding(Level.BOOT, failed=True), finding(Level.PAYLOAD, at=LATER), finding(Level.BOOT, failed=True)),
        (
            finding(Level.BOOT, failed=True),
            finding(Level.PAYLOAD, failed=True, at=LATER),
            finding(Level.BOOT, failed=True, at=LATER),
        ),
        (finding(Level.BOOT), finding(Level.PAYLOAD, at=LATER), finding(Level.BOOT)),
        (
            finding(Level.BOOT),
            finding(Level.PAYLOAD, failed=True, at=LATER),
            finding(Level.PAYLOAD, failed=True, at=LATER),
        ),
    ],
)
def test_failure_is_lifted_by_a_proof_of_its_level_only(last: Finding | None, new: Finding, stands: Finding) -> None:
    assert combined(last, new) == stands
