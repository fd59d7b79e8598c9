"""What ids look like that people copy into a command line: a word that cannot be one is a mistake, whatever there is."""

from __future__ import annotations

import re

from lifecycle.errors import UsageError

_RELEASE = re.compile(r"[0-9a-f]{12}")
# One of an array has its index after the array's id, one node of several its own.
_JOB = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:[:#][0-9]+)?")


def parse_release_id(text: str) -> str:
    """Raises `UsageError("release-id-invalid")` unless `text` is 12 hex digits."""
    if not _RELEASE.fullmatch(text):
        way = _way(text, _RELEASE, where="`capctl status` and `capctl history` show them")
        raise UsageError(
            "release-id-invalid", f"`{text}` is not a release id, which is 12 digits of 0-9 and a-f", hint=way
        )
    return text


def parse_job_id(text: str) -> str:
    """Raises `UsageError("job-id-invalid")` unless `text` is a UUID, as Batch's ids are, with an index if it is one of an array."""
    if not _JOB.fullmatch(text):
        way = _way(text, _JOB, where="`capctl job ls` shows them")
        example = "01234567-89ab-cdef-0123-456789abcdef"
        raise UsageError("job-id-invalid", f"`{text}` is not a job id, such as `{example}`", hint=way)
    return text


def _way(text: str, form: re.Pattern[str], *, where: str) -> str:
    small = text.lower()
    return f"It is written in small letters: `{small}`" if form.fullmatch(small) else where
