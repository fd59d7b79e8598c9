"""Moments and spans of time, as people write them."""

import re
from datetime import UTC, datetime, timedelta

from lifecycle.errors import UsageError

_SPAN = re.compile(r"([1-9]\d{0,4})([hdw])")
_HOURS = {"h": 1, "d": 24, "w": 24 * 7}


def parse_moment(text: str) -> datetime:
    """A date or a time in ISO 8601, in UTC unless it says otherwise. Raises `UsageError("time-invalid")`."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            "time-invalid", f"`{text}` is no date", hint="Write `2027-03-31` or `2027-03-31T18:00Z`"
        ) from error


def parse_span(text: str) -> timedelta:
    """A span such as `36h`, `30d` or `2w`. Raises `UsageError("time-invalid")`."""
    if not (match := _SPAN.fullmatch(text)):
        raise UsageError("time-invalid", f"`{text}` is no span of time", hint="Write `36h`, `30d` or `2w`")
    return timedelta(hours=int(match[1]) * _HOURS[match[2]])


def to_the_minute(moment: datetime) -> datetime:
    """The nearest full minute, which is what EC2 keeps."""
    return (moment + timedelta(seconds=30)).replace(second=0, microsecond=0)
