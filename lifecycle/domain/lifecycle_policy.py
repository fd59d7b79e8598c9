"""What ECR removes by itself: the repository's lifecycle policy.

ECR expires an image by one rule at most, and never by a rule below one whose tags the image has: what the first rule selects is safe from
all others. So the first rule is that of the tags of releases, and keeps as many of them as a repository can have images.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from images.index import BASE_TAG, CODE_TAG
from lifecycle.domain.digest import Digest, canonical_json
from lifecycle.domain.measures import counted
from lifecycle.domain.release_tag import RELEASE_TAG

# Of the tags that capctl gives; what a person tags otherwise is expired by no rule.
_BASES, _CODE, _RELEASES = (f"{tag}*" for tag in (BASE_TAG, CODE_TAG, RELEASE_TAG))


# ECR's quota. A rule has to name a number.
MOST_IMAGES = 100_000

NeededBy = Mapping[Digest, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleRule:
    """One rule. It selects the images with a tag like `tags`, or those without a tag where that is None.

    Either the newest `keep` of them stay, or those that were pushed within `days`.
    """

    priority: int
    tags: str | None
    keep: int | None = None
    days: int | None = None

    @property
    def subject(self) -> str:
        """Which images it selects, in words."""
        return f"images tagged `{self.tags}`" if self.tags else "images without a tag"

    @property
    def text(self) -> str:
        """What becomes of them, in words."""
        if self.keep == MOST_IMAGES:
            return "none expires"
        return (
            f"all but the newest {self.keep} expire"
            if self.keep
            else f"expire {counted(self.days or 0, 'day')} after their push"
        )

    def document(self) -> dict[str, Any]:
        """The rule as ECR takes it."""
        selected = {"tagStatus": "tagged", "tagPatternList": [self.tags]} if self.tags else {"tagStatus": "untagged"}
        counted_by = (
            {"countType": "imageCountMoreThan", "countNumber": self.keep}
            if self.keep
            else {"countType": "sinceImagePushed", "countUnit": "days", "countNumber": self.days}
        )
        return {
            "rulePriority": self.priority,
            "description": f"{self.subject}: {self.text}".replace("`", ""),
            "selection": selected | counted_by,
            "action": {"type": "expire"},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecyclePolicy:
    """The rules in the order of their priorities."""

    rules: tuple[LifecycleRule, ...]

    def document(self) -> dict[str, Any]:
        """The policy as ECR takes it."""
        return {"rules": [rule.document() for rule in self.rules]}

    def text(self) -> str:
        """The document, byte for byte the same whenever the rules are."""
        return canonical_json(self.document()).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiring:
    """An image that a policy would expire at this moment, and the priority of the rule that does."""

    digest: Digest
    tags: tuple[str, ...]
    pushed_at: datetime
    rule: int

    def __str__(self) -> str:
        return f"{self.digest} ({', '.join(self.tags) or 'no tag'})"


def lifecycle_policy(
    *, bases_beyond: int | None = None, code_days: int | None = None, untagged_days: int | None = None
) -> LifecyclePolicy:
    """The policy of a repository of capctl's; numbers are at least 1, None means that there is no such rule.

    Without any it expires nothing, and is all the same the repository's: what somebody set by hand does not stay beside it.
    """
    wanted: list[tuple[str | None, int | None, int | None]] = [(_RELEASES, MOST_IMAGES, None)]
    if bases_beyond is not None:
        wanted.append((_BASES, bases_beyond, None))
    if code_days is not None:
        wanted.append((_CODE, None, code_days))
    if untagged_days is not None:
        wanted.append((None, None, untagged_days))
    return LifecyclePolicy(
        rules=tuple(
            LifecycleRule(priority=priority, tags=tags, keep=keep, days=days)
            for priority, (tags, keep, days) in enumerate(wanted, start=1)
        )
    )


def is_same_policy(one: str, other: str) -> bool:
    """Whether two texts are the same policy: ECR may write one otherwise, with its rules in the order of their priorities."""
    return _rules(one) == _rules(other)


def _rules(text: str) -> list[Any]:
    rules: list[Any] = json.loads(text)["rules"]
    return sorted(rules, key=lambda rule: int(rule["rulePriority"]))


def needed_among(expiring: Iterable[Expiring], needs: NeededBy) -> tuple[Expiring, ...]:
    """Those of `expiring` that somebody needs."""
    return tuple(image for image in expiring if needs.get(image.digest))


def expiry_text(image: Expiring, needs: NeededBy) -> str:
    """An image that would expire, by which rule, and who needs it."""
    who = ", ".join(needs.get(image.digest, ()))
    return f"{image}: rule {image.rule}" + (f", needed by {who}" if who else "")
