"""ECR's lifecycle policies: what ECR takes for one, and what one would do to the images of a repository. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

_MOST_RULES, _MOST_STARS = 50, 4
_SHORTEST, _LONGEST = 100, 30_720
_AGES = {"sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned"}
_COUNT = "imageCountMoreThan"
_STANDARD, _ARCHIVE = "standard", "archive"


class PolicyInvalid(ValueError):
    """ECR would refuse the policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """An image of a repository; `pulled_at` is None when nobody ever did, `is_listed` says that a manifest list needs it."""

    digest: str
    tags: tuple[str, ...]
    pushed_at: datetime
    pulled_at: datetime | None = None
    is_listed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """What a policy does to an image, and the priority of the rule that does it."""

    image: StoredImage
    action: dict[str, str]
    rule: int


def checked(text: str) -> list[dict[str, Any]]:
    """The rules of a policy, by priority. Raises `PolicyInvalid`."""
    _require(_SHORTEST <= len(text) <= _LONGEST, f"the text must have {_SHORTEST} to {_LONGEST} characters")
    try:
        document = json.loads(text)
    except ValueError as error:
        raise PolicyInvalid("Could not map policyString into LifecyclePolicy") from error
    is_policy = isinstance(document, dict) and set(document) == {"rules"} and isinstance(document["rules"], list)
    _require(is_policy, 'object has missing required properties (["rules"])')
    rules: list[Any] = document["rules"]
    _require(1 <= len(rules) <= _MOST_RULES, f"a policy has 1 to {_MOST_RULES} rules")
    for rule in rules:
        _check_rule(rule)
    rules = sorted(rules, key=_priority)
    _require(len({_priority(rule) for rule in rules}) == len(rules), "rulePriority must be unique")
    classes = [(rule["selection"]["tagStatus"], rule["selection"].get("storageClass", _STANDARD)) for rule in rules]
    for status, storage in classes:
        single = status in {"untagged", "any"} and classes.count((status, storage)) > 1
        _require(not single, f"only one rule may select `{status}` images of a storage class")
    for storage in (_STANDARD, _ARCHIVE):
        statuses = [status for status, of in classes if of == storage]
        _require("any" not in statuses[:-1], "a rule of tagStatus `any` must have the highest rulePriority")
    return rules


def marked(text: str, images: Iterable[StoredImage], *, now: datetime) -> tuple[Marked, ...]:
    """What the policy would do to images of the standard storage class.

    Every rule looks at all images, also at those that others mark; an image is then marked by the first rule that counts it out, unless a
    rule above that one has its tags.
    """
    rules, all_images = checked(text), tuple(images)
    found: list[Marked] = []
    for place, rule in enumerate(rules):
        if rule["selection"].get("storageClass", _STANDARD) != _STANDARD:
            continue
        selected = [image for image in all_images if _selects(rule, image)]
        for image in _beyond(rule["selection"], selected, now):
            is_taken = any(_selects(above, image) for above in rules[:place])
            if not is_taken and not image.is_listed:
                found.append(Marked(image=image, action=rule["action"], rule=_priority(rule)))
    return tuple(found)


def _beyond(selection: dict[str, Any], images: Sequence[StoredImage], now: datetime) -> Sequence[StoredImage]:
    number = selection["countNumber"]
    if selection["countType"] == _COUNT:
        return sorted(images, key=lambda image: image.pushed_at, reverse=True)[number:]
    since: Callable[[StoredImage], datetime] = (
        (lambda image: image.pulled_at or image.pushed_at)
        if selection["countType"] == "sinceImagePulled"
        else lambda image: image.pushed_at
    )
    return [image for image in images if now - since(image) > timedelta(days=number)]


def _selects(rule: dict[str, Any], image: StoredImage) -> bool:
    """Whether the image meets what the rule says of tags: each of its patterns fits one of the image's tags."""
    selection = rule["selection"]
    if selection["tagStatus"] != "tagged":
        return selection["tagStatus"] == "any" or not image.tags
    patterns = selection.get("tagPatternList") or [f"{prefix}*" for prefix in selection["tagPrefixList"]]
    return all(any(fnmatchcase(tag, pattern) for tag in image.tags) for pattern in patterns)


def _check_rule(rule: Any) -> None:
    _keys(rule, {"rulePriority", "selection", "action"}, {"description"})
    _require(_is_positive(rule["rulePriority"]), "rulePriority must be a positive integer")
    selection, action = rule["selection"], rule["action"]
    _keys(selection, {"tagStatus", "countType", "countNumber"}, _MAY_SELECT)
    _keys(action, {"type"}, {"targetStorageClass"})
    _require(_is_positive(selection["countNumber"]), "numeric instance is lower than the required minimum (minimum: 1)")
    _check_tags(selection)
    kind, storage = selection["countType"], selection.get("storageClass", _STANDARD)
    _require(kind in _AGES | {_COUNT}, "countType is unknown")
    _require(storage in {_STANDARD, _ARCHIVE}, "storageClass is unknown")
    _require(
        (selection.get("countUnit") == "days") == (kind in _AGES),
        "countUnit `days` belongs to the ages, and to no count",
    )
    _require(
        (kind == "sinceImageTransitioned") == (storage == _ARCHIVE), f"{kind} does not go with storageClass {storage}"
    )
    if action["type"] == "transition":
        _require(action.get("targetStorageClass") == _ARCHIVE, "a transition leads to the storage class `archive`")
        _require(storage == _STANDARD, "archived images cannot be archived")
    else:
        _require(action == {"type": "expire"}, "the action is `expire` or `transition`")
        # ECR expires nothing by its last pull: it archives it first, so that a mistake can be mended.
        _require(kind != "sinceImagePulled", "sinceImagePulled goes with the action `transition` only")


_MAY_SELECT = {"tagPatternList", "tagPrefixList", "storageClass", "countUnit"}


def _check_tags(selection: dict[str, Any]) -> None:
    given = [selection[name] for name in ("tagPatternList", "tagPrefixList") if name in selection]
    if selection["tagStatus"] == "tagged":
        _require(len(given) == 1 and bool(given[0]), "`tagged` needs either tagPatternList or tagPrefixList")
        _require(all(isinstance(one, str) and one for one in given[0]), "patterns and prefixes are texts")
        stars = max(one.count("*") for one in given[0])
        _require(stars <= _MOST_STARS, f"a pattern has {_MOST_STARS} wildcards at most")
    else:
        _require(selection["tagStatus"] in {"untagged", "any"}, "tagStatus is unknown")
        _require(not given, "patterns and prefixes belong to the tagStatus `tagged`")


def _priority(rule: dict[str, Any]) -> int:
    return int(rule["rulePriority"])


def _is_positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _keys(value: Any, needed: set[str], may: set[str]) -> None:
    _require(isinstance(value, dict), "instance does not match any allowed primitive type (allowed: object)")
    missing, unknown = sorted(needed - value.keys()), sorted(value.keys() - needed - may)
    _require(not missing, f"object has missing required properties ({json.dumps(missing)})")
    _require(
        not unknown, f"object instance has properties which are not allowed by the schema: ({json.dumps(unknown)})"
    )


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise PolicyInvalid(what)
