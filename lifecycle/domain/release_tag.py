"""The tag that every release gives its image before anything else names it: `rel-<release>-<day>`.

ECR expires no image that has one, and `image prune` keeps it until the day is long past: from the tag to the release that names the image
a deploy takes minutes, and ECR does not tell when a tag was given. Nobody takes such a tag off again, which ECR would do only for who may
delete images, and with its last tag the image would go; the tag goes with its image.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

RELEASE_TAG = "rel-"
_TAG = re.compile(rf"{RELEASE_TAG}([0-9a-f]{{12}})-([0-9]{{8}})")
_DAY = "%Y%m%d"
# Far longer than any deploy, and than clocks differ.
DEPLOY_LASTS = timedelta(days=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseTag:
    """A release had the image when that day, in UTC, began or later that day."""

    release_id: str
    day: datetime

    def age(self, now: datetime) -> timedelta:
        """How long it has been there at least."""
        return now - self.day - timedelta(days=1)


def release_tag(release_id: str, now: datetime) -> str:
    """The tag that a release gives its image now."""
    return f"{RELEASE_TAG}{release_id}-{now.astimezone(UTC).strftime(_DAY)}"


def parse_release_tag(tag: str) -> ReleaseTag | None:
    """None for any other tag, also one that is like it: of that it is not known what it says."""
    found = _TAG.fullmatch(tag)
    try:
        return found and ReleaseTag(release_id=found[1], day=datetime.strptime(found[2], _DAY).replace(tzinfo=UTC))
    except ValueError:
        return None
