"""Moments and spans of time: as people and AWS write them, and as they are told."""

import re
from datetime import UTC, datetime, timedelta

from lifecycle.errors import UsageError

_SPAN = re.compile(r"([0-9]{1,5})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def told_moment(text: str) -> datetime | None:
    """A date or a time in ISO 8601, in UTC unless it says otherwise; None for any other text."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def parse_moment(text: str) -> datetime:
    """As `told_moment`, of what somebody typed. Raises `UsageError("time-invalid")` instead of returning None."""
    if not (moment := told_moment(text)):
        raise UsageError("time-invalid", f"`{text}` is no date", hint="Write `2027-03-31` or `2027-03-31T18:00Z`")
    return moment


def parse_span(text: str, *, units: str) -> timedelta:
    """A span such as `36h`; `units` are the letters that are taken, of `smhdw`. Raises `UsageError("time-invalid")`."""
    match = _SPAN.fullmatch(text)
    if not match or match[2] not in units:
        known = " or ".join(f"`2{unit}`" for unit in units)
        raise UsageError("time-invalid", f"`{text}` is no span of time", hint=f"Write one such as {known}")
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])


def iso_text(moment: datetime) -> str:
    """`2027-03-31T18:00:07Z`, as tags have it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_text(moment: datetime) -> str:
    """`2027-03-31 18:00:07Z`, as people read it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def to_the_minute(moment: datetime) -> datetime:
    """The nearest full minute, which is what EC2 keeps."""
    return (moment + timedelta(seconds=30)).replace(second=0, microsecond=0)
