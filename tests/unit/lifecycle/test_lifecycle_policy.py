"""The lifecycle policy that a configuration makes: ECR takes it, and no image of a release ever expires by it."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images.index import BASE_TAG, CODE_TAG
from lifecycle.config.schema import Config
from lifecycle.config.validate import complaints
from lifecycle.config.values import MovableTag
from lifecycle.domain.lifecycle_policy import (
    LifecyclePolicy,
    is_same_policy,
    lifecycle_policy,
)
from lifecycle.domain.release_tag import RELEASE_TAG, release_tag
from lifecycle.rehearsal.emulator.ecr_lifecycle import StoredImage, checked, marked
from tests.fakes.targets import make_target

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DEFAULT = make_target(Path()).lifecycle_policy
WHOLE = make_target(
    Path(), image={"registry": {"expire_bases_beyond": 10, "expire_code_days": 90, "expire_untagged_days": 7}}
).lifecycle_policy
NUMBERS = st.integers(min_value=1, max_value=100_000)
POLICIES = st.builds(
    lifecycle_policy,
    bases_beyond=st.none() | NUMBERS,
    code_days=st.none() | NUMBERS,
    untagged_days=st.none() | NUMBERS,
)
# Tags of every kind, also such as only a person gives.
TAGS = st.lists(
    st.sampled_from(["base", "code", "cache", "v", "git"]).flatmap(
        lambda kind: st.integers(0, 9).map(lambda number: f"{kind}-{number}")
    ),
    max_size=3,
    unique=True,
)
AGES = st.integers(min_value=0, max_value=5000)


@st.composite
def repositories(draw: st.DrawFn) -> list[StoredImage]:
    """Images of which any number are those of releases."""
    found = draw(st.lists(st.tuples(TAGS, AGES, st.booleans()), max_size=49))
    return [
        StoredImage(
            digest=f"sha256:{number:064x}",
            tags=(*tags, *((release_tag(f"{number:012x}", NOW),) if is_released else ())),
            pushed_at=NOW - timedelta(days=days),
        )
        for number, (tags, days, is_released) in enumerate(found)
    ]


@given(policy=POLICIES, images=repositories())
def test_image_of_a_release_never_expires(policy: LifecyclePolicy, images: list[StoredImage]) -> None:
    for one in marked(policy.text(), images, now=NOW):
        assert not [tag for tag in one.image.tags if tag.startswith("rel-")]


@given(policy=POLICIES)
def test_ecr_takes_every_policy_that_can_be_configured(policy: LifecyclePolicy) -> None:
    assert len(checked(policy.text())) == len(policy.rules)


def test_rule_of_releases_is_the_first() -> None:
    assert DEFAULT.rules[0].tags == "rel-*"
    assert DEFAULT.rules[0].priority == min(rule.priority for rule in DEFAULT.rules)


@given(images=repositories())
def test_by_default_nothing_expires(images: list[StoredImage]) -> None:
    """Not even what has no tag: a movable tag may have left an image whose digest a job definition names."""
    assert marked(DEFAULT.text(), images, now=NOW) == ()


@pytest.mark.parametrize(
    ("tags", "days", "rule"),
    [
        (("code-1",), 91, 3),
        (("code-1",), 89, None),
        (("code-1", "rel-1"), 5000, None),
        ((), 8, 4),
        ((), 6, None),
        # What a person tags stays, as does a base as long as there are few of them.
        (("golden",), 5000, None),
        (("base-1",), 5000, None),
    ],
)
def test_code_that_no_release_has_expires_when_it_is_old(tags: tuple[str, ...], days: int, rule: int | None) -> None:
    image = StoredImage(digest="sha256:0", tags=tags, pushed_at=NOW - timedelta(days=days))
    found = marked(WHOLE.text(), [image], now=NOW)
    assert [one.rule for one in found] == ([rule] if rule else [])


def test_oldest_bases_go_first() -> None:
    bases = [
        StoredImage(digest=str(days), tags=(f"base-{days}",), pushed_at=NOW - timedelta(days=days))
        for days in range(12)
    ]
    assert {one.image.digest for one in marked(WHOLE.text(), bases, now=NOW)} == {"10", "11"}


def test_words_say_what_the_document_does() -> None:
    words = [f"{rule.subject}: {rule.text}" for rule in WHOLE.rules]
    assert words == [
        "images tagged `rel-*`: none expires",
        "images tagged `base-*`: all but the newest 10 expire",
        "images tagged `code-*`: expire 90 days after their push",
        "images without a tag: expire 7 days after their push",
    ]
    assert [rule["description"] for rule in WHOLE.document()["rules"]] == [text.replace("`", "") for text in words]
    assert [rule.tags for rule in DEFAULT.rules] == ["rel-*"]


def test_policy_is_the_same_however_it_is_written() -> None:
    document = DEFAULT.document()
    text = str({"rules": document["rules"][::-1]}).replace("'", '"')
    assert is_same_policy(text, DEFAULT.text())
    assert not is_same_policy(
        make_target(Path(), image={"registry": {"expire_code_days": 1}}).lifecycle_policy.text(), text
    )


_MOVABLE = get_args(MovableTag)[1]


def _may_be_ours(pattern: str) -> bool:
    """Whether a tag of capctl's could fit the pattern."""
    head, star, _ = pattern.partition("*")
    own = (BASE_TAG, CODE_TAG, RELEASE_TAG)
    return any(head.startswith(tag) or (star and tag.startswith(head)) for tag in own)


@given(st.text(alphabet="codebasrl-*X_.9", min_size=1, max_size=8))
def test_movable_tags_fit_no_tag_that_names_content(pattern: str) -> None:
    assert bool(re.search(_MOVABLE, pattern)) == (not _may_be_ours(pattern) and pattern.count("*") <= 2)


@pytest.mark.parametrize(
    ("registry", "said"),
    [
        (
            {"movable_tags": ("c*",)},
            "must be a pattern of at most two `*` that fits no tag `base-*`, `code-*` or `rel-*`",
        ),
        ({"movable_tags": ("rel-1",)}, "must be a pattern of at most two `*`"),
        ({"movable_tags": ("a b",)}, "must be a pattern of at most two `*`"),
        ({"movable_tags": tuple(f"t{number}-*" for number in range(6))}, "must have at most 5 entries"),
        ({"kms_key_arn": "alias/images"}, "must be the ARN of a KMS key"),
        ({"expire_bases_beyond": 0}, "must be at least 1"),
        ({"expire_untagged_days": 0}, "must be at least 1"),
    ],
)
def test_mistake_is_told_by_its_rule(registry: dict[str, object], said: str) -> None:
    targets = {"test": {"account": "123456789012", "region": "eu-west-1"}}
    value = {"project": "vision", "defaults": {"image": {"registry": registry}}, "targets": targets}
    (complaint,) = complaints(Config, value, lambda _: None)
    assert said in complaint.text
