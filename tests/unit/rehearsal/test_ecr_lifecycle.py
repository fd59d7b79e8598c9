"""ECR's lifecycle policies by the examples of its documentation, and what ECR refuses."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lifecycle.rehearsal.emulator.ecr_lifecycle import PolicyInvalid, StoredImage, checked, marked

NOW = datetime(2026, 1, 31, tzinfo=UTC)
EXPIRE = {"type": "expire"}
COUNT = {"countType": "imageCountMoreThan"}
ARCHIVE = {"type": "transition", "targetStorageClass": "archive"}


def rule(priority: int, *patterns: str, action: dict[str, str] | None = None, **selection: Any) -> dict[str, Any]:
    selected = {"tagStatus": "tagged", "tagPatternList": list(patterns)} if patterns else {}
    return {
        "rulePriority": priority,
        "description": "a rule of the documentation",
        "selection": selected | COUNT | selection,
        "action": action or EXPIRE,
    }


def aged(priority: int, *patterns: str, days: int, by: str = "sinceImagePushed", **more: Any) -> dict[str, Any]:
    return rule(priority, *patterns, countType=by, countUnit="days", countNumber=days, **more)


def policy(*rules: dict[str, Any]) -> str:
    return json.dumps({"rules": rules})


def image(name: str, *tags: str, days: int = 0, pulled_days: int | None = None, listed: bool = False) -> StoredImage:
    pulled = None if pulled_days is None else NOW - timedelta(days=pulled_days)
    return StoredImage(digest=name, tags=tags, pushed_at=NOW - timedelta(days=days), pulled_at=pulled, is_listed=listed)


def outcome(text: str, *images: StoredImage) -> dict[str, int]:
    """The rule that marks each image."""
    return {one.image.digest: one.rule for one in marked(text, images, now=NOW)}


THREE = (image("A", "beta-1", "prod-1", days=10), image("B", "beta-2", "prod-2", days=9), image("C", "beta-3", days=8))


def test_image_of_a_rule_above_is_not_expired_by_one_below() -> None:
    text = policy(rule(1, "prod*", countNumber=1), rule(2, "beta*", countNumber=1))
    assert outcome(text, *THREE) == {"A": 1}


def test_rule_below_sees_what_rules_above_marked_and_marks_nothing_of_it() -> None:
    text = policy(rule(1, "beta*", countNumber=1), rule(2, "prod*", countNumber=1))
    assert outcome(text, *THREE) == {"A": 1, "B": 1}


def test_several_patterns_of_a_rule_must_all_fit() -> None:
    images = (
        image("A", "alpha-1", days=12),
        image("B", "beta-1", days=11),
        image("C", "alpha-2", "beta-2", days=10),
        image("D", "alpha-3", days=4),
        image("E", "beta-3", days=3),
        image("F", "alpha-4", "beta-4", days=2),
    )
    assert outcome(policy(aged(1, "alpha*", "beta*", days=5)), *images) == {"C": 1}
    assert outcome(policy(aged(1, "alpha*", days=5)), *images) == {"A": 1, "C": 1}


def test_one_untagged_image_is_kept_and_it_is_the_newest() -> None:
    images = (image("old", days=3), image("new", days=1), image("tagged", "v1", days=9))
    assert outcome(policy(rule(1, tagStatus="untagged", countNumber=1)), *images) == {"old": 1}


def test_age_is_past_the_days_and_not_at_them() -> None:
    text = policy(aged(1, "prod*", days=14))
    assert outcome(text, image("at", "prod", days=14), image("past", "prod-1", days=15)) == {"past": 1}


def test_rule_of_all_images_leaves_those_of_the_rules_above() -> None:
    text = policy(rule(1, "prod*", countNumber=1), aged(2, days=1, tagStatus="any"))
    images = (image("A", "prod-1", days=9), image("B", "prod-2", days=8), image("C", days=7), image("D", "x", days=6))
    assert outcome(text, *images) == {"A": 1, "C": 2, "D": 2}


def test_prefixes_select_as_patterns_that_end_with_a_star() -> None:
    selection = {"tagStatus": "tagged", "tagPrefixList": ["prod"]}
    text = policy(rule(1, countNumber=1, **selection))
    assert outcome(text, image("A", "prod-1", days=2), image("B", "production", days=1)) == {"A": 1}


def test_order_of_the_text_does_not_count() -> None:
    text = policy(rule(7, "beta*", countNumber=1), rule(3, "prod*", countNumber=1))
    assert outcome(text, *THREE) == {"A": 3}


def test_image_that_a_manifest_list_needs_stays() -> None:
    assert outcome(policy(aged(1, days=1, tagStatus="untagged")), image("part", days=9, listed=True)) == {}


def test_image_that_was_never_pulled_is_archived_by_the_age_of_its_push() -> None:
    text = policy(aged(1, "code-*", days=30, by="sinceImagePulled", action=ARCHIVE))
    images = (image("used", "code-1", days=90, pulled_days=2), image("never", "code-2", days=31))
    (found,) = marked(text, images, now=NOW)
    assert (found.image.digest, found.action) == ("never", ARCHIVE)


def test_rules_of_the_archive_touch_no_image_that_is_not_in_it() -> None:
    archived = aged(1, days=90, by="sinceImageTransitioned", tagStatus="any", storageClass="archive")
    assert outcome(policy(archived), image("A", days=365)) == {}


GOOD = rule(1, "prod*", countNumber=1)


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [GOOD, rule(1, "beta*", countNumber=1)],
        [rule(number, f"v{number}*", countNumber=1) for number in range(1, 52)],
        [rule(1, "a*b*c*d*e*f", countNumber=1)],
        [rule(1, "prod*", countNumber=0)],
        [rule(0, "prod*", countNumber=1)],
        [rule(1, countNumber=1, tagStatus="tagged")],
        [rule(1, "prod*", countNumber=1, tagStatus="untagged")],
        [rule(1, "prod*", countNumber=1, tagPrefixList=["prod"])],
        [rule(1, "prod*", countNumber=1, countUnit="days")],
        [rule(1, "prod*", countNumber=1, countType="sinceImagePushed")],
        [rule(1, "prod*", countNumber=1, countType="byMood")],
        [rule(1, "prod*", countNumber=1, action={"type": "forget"})],
        [rule(1, "prod*", countNumber=1, storageClass="archive")],
        [rule(1, tagStatus="any", countNumber=1), rule(2, "prod*", countNumber=1)],
        [rule(1, tagStatus="untagged", countNumber=1), rule(2, tagStatus="untagged", countNumber=2)],
        # ECR only archives by the last pull.
        [aged(1, "code-*", days=30, by="sinceImagePulled")],
        [aged(1, "code-*", days=30, by="sinceImagePulled", action={"type": "transition"})],
        [aged(1, "code-*", days=30, by="sinceImageTransitioned")],
        [GOOD | {"weight": 1}],
        ["prod"],
    ],
    ids=str,
)
def test_what_ecr_refuses_is_refused(rules: list[Any]) -> None:
    with pytest.raises(PolicyInvalid):
        checked(json.dumps({"rules": rules}) + " " * 100)


@pytest.mark.parametrize("text", ["", "{", " " * 200, policy(GOOD) + " " * 30_720, '{"rules": {}}' + " " * 100])
def test_text_that_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(PolicyInvalid):
        checked(text)


def test_longest_pattern_list_of_the_documentation_is_taken() -> None:
    assert checked(policy(rule(1, "*test*1*2*3", "test*1*2*3*", countNumber=1)))
