"""What ids look like that people copy into a command line: a word that cannot be one is a mistake, whatever there is."""

from __future__ import annotations

import re

from lifecycle.errors import UsageError

_RELEASE = re.compile(r"[0-9a-f]{12}")
# One of an array has its index after the array's id, one node of several its own.
_JOB = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:[:#][0-9]+)?")


def parse_release_id(text: str) -> str:
    """Raises `UsageError("release-id-invalid")` unless `text` is 12 hex digits."""
    return _parsed(
        text,
        _RELEASE,
        code="release-id-invalid",
        what="a release id, which is 12 digits of 0-9 and a-f",
        where="`capctl status` and `capctl history`",
    )


def parse_job_id(text: str) -> str:
    """Raises `UsageError("job-id-invalid")` unless `text` is a UUID, as Batch's ids are, with an index if it is one of an array."""
    return _parsed(
        text,
        _JOB,
        code="job-id-invalid",
        what="a job id, such as `01234567-89ab-cdef-0123-456789abcdef`",
        where="`capctl job ls`",
    )


def _parsed(text: str, form: re.Pattern[str], *, code: str, what: str, where: str) -> str:
    if form.fullmatch(text):
        return text
    if form.fullmatch(small := text.lower()):
        raise UsageError(code, f"`{text}` is not {what}: it is written in small letters", hint=f"Write `{small}`")
    raise UsageError(code, f"`{text}` is not {what}", hint=f"Copy one from {where}")
