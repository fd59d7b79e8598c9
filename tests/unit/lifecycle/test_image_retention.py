"""Which images stay, whatever the repository looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.domain.cost import monthly_usd_of_images
from lifecycle.domain.digest import Digest, digest_of
from lifecycle.domain.image_needs import Repository, needed_images, newest_first, removal_order
from lifecycle.domain.image_retention import (
    Freed,
    ImageFate,
    ImageRetention,
    ImageVerdict,
    freed_by,
    freed_by_each,
    judge_images,
)
from lifecycle.domain.repository_image import ImageKind, ManifestContent, RepositoryImage, content_of, kind_of
from lifecycle.domain.usage import Unread, Use, UseReport

NOW = datetime(2026, 11, 21, tzinfo=UTC)
RULES = ImageRetention(keep_code=1, keep_bases=1, min_age=timedelta(days=30), untagged_age=timedelta(days=7), most=100)
UNREAD = Unread(source="jobs", why="AWS refused reading jobs")
Pair = tuple[RepositoryImage, ManifestContent]


def d(name: str) -> Digest:
    return digest_of(name.encode())


def image(
    name: str,
    *tags: str,
    days: float = 100,
    pulled_days: float | None = None,
    layers: Sequence[str] | None = None,
    base: str = "",
    children: Sequence[str] = (),
    subject: str = "",
) -> Pair:
    """An image whose layers, of 1 MB each, and relatives are told by their names."""
    told = tuple(d(layer) for layer in ([f"layer of {name}"] if layers is None else layers))
    content = ManifestContent(
        layers=told,
        blobs=dict.fromkeys(told, 1_000_000),
        children=tuple(map(d, children)),
        subject=d(subject) if subject else None,
        base=d(base) if base else None,
    )
    pulled_at = None if pulled_days is None else NOW - timedelta(days=pulled_days)
    pushed_at = NOW - timedelta(days=days)
    size_bytes = 1_000_000 * len(told)
    return RepositoryImage(
        digest=d(name), tags=tags, pushed_at=pushed_at, pulled_at=pulled_at, size_bytes=size_bytes
    ), content


def repository(*pairs: Pair, uses: Sequence[Use] = (), unread: Sequence[Unread] = ()) -> Repository:
    return Repository(
        images=newest_first(one for one, _ in pairs),
        contents={one.digest: content for one, content in pairs},
        report=UseReport(uses=tuple(uses), unread=tuple(unread)),
    )


def use(of: str, kind: str = "release", name: str = "r-1") -> Use:
    return Use(of=of, kind=kind, name=name)


def verdicts(held: Repository, rules: ImageRetention = RULES) -> dict[Digest, ImageVerdict]:
    return {one.image.digest: one for one in judge_images(held, rules, NOW)}


# The newest of each kind, which stay anyway.
NEWEST = (image("newest", "code-new", days=0.5, base="newest base"), image("newest base", "base-new", days=0.5))


def fate(*pairs: Pair, of: str = "old", uses: Sequence[Use] = (), unread: Sequence[Unread] = ()) -> ImageVerdict:
    return verdicts(repository(*pairs, *NEWEST, uses=uses, unread=unread))[d(of)]


def test_old_image_that_nothing_needs_goes() -> None:
    assert fate(image("old", "code-a")).reasons == ("nothing needs it",)
    assert fate(image("old", "code-a")).fate is ImageFate.DELETE


@pytest.mark.parametrize(
    ("pairs", "uses", "why"),
    [
        ([image("old", "code-a")], [use(d("old"))], "used by release r-1"),
        ([image("old", "code-a")], [use("code-a", "job definition", "vision:3")], "used by job definition vision:3"),
        ([image("old", "code-a", days=3)], [], "newer than 30 days"),
        ([image("old", days=3)], [], "newer than 7 days, without a tag"),
        ([image("old", "code-a", pulled_days=1)], [], "pulled at 2026-11-20 00:00:00Z"),
        ([image("old", pulled_days=20)], [], "pulled at 2026-11-01 00:00:00Z"),
        ([image("old", "code-a", "prod")], [], "somebody tagged it prod"),
        ([image("old", "cache-main")], [], "somebody tagged it cache-main"),
        # Between this tag and the release a deploy takes minutes, and ECR tells of no tag when it was given.
        (
            [image("old", "code-a", "rel-0123456789ab-20240101", "rel-cdef01234567-20261101")],
            [],
            "tagged for release cdef01234567 on 2026-11-01",
        ),
        ([image("old", "rel-0123456789ab")], [], "somebody tagged it rel-0123456789ab"),
        ([image("old", "rel-0123456789ab-20269901")], [], "somebody tagged it rel-0123456789ab-20269901"),
        ([image("old", "base-a"), image("code", "code-b", days=1, base="old")], [], "used by code image code-b"),
        # Docker's manifests name no base; the layers do.
        (
            [image("old", "base-a", layers=["1", "2"]), image("code", "code-b", days=1, layers=["1", "2", "3"])],
            [],
            "used by code image code-b",
        ),
        ([image("old"), image("index", "v1", children=["old"], layers=[])], [], "used by index v1"),
        (
            [image("old", children=["part"], layers=[]), image("part")],
            [use(d("part"))],
            f"used by image {d('part')[:19]} (which it names)",
        ),
        (
            [image("old", subject="signed"), image("signed", "code-s")],
            [use("code-s")],
            "used by image code-s (which it describes)",
        ),
        (
            [image("old", f"sha256-{d('signed')[7:]}.sig"), image("signed", "code-s")],
            [use("code-s")],
            "used by image code-s (which it describes)",
        ),
        (
            [image("old", "code-a"), image("sbom", subject="old", days=1)],
            [],
            f"used by attachment {d('sbom')[:19]}",
        ),
    ],
)
def test_image_that_is_needed_or_new_stays_and_says_why(pairs: list[Pair], uses: list[Use], why: str) -> None:
    assert (fate(*pairs, uses=uses).fate, fate(*pairs, uses=uses).reasons) == (ImageFate.KEEP, (why,))


@pytest.mark.parametrize(
    ("min_age_days", "day", "fate"),
    [
        (30, "20261020", ImageFate.DELETE),
        (30, "20261022", ImageFate.KEEP),
        (0, "20261118", ImageFate.DELETE),
        # A deploy that gave it late that day may still be making the release.
        (0, "20261119", ImageFate.KEEP),
        (0, "20261122", ImageFate.KEEP),
    ],
)
def test_tag_of_a_release_that_exists_no_longer_keeps_its_image_for_a_while(
    min_age_days: int, day: str, fate: ImageFate
) -> None:
    held = repository(image("old", "code-a", f"rel-0123456789ab-{day}"), *NEWEST)
    assert verdicts(held, replace(RULES, min_age=timedelta(days=min_age_days)))[d("old")].fate is fate


def test_newest_of_each_kind_stay() -> None:
    pairs = [image(f"c{n}", f"code-{n}", days=100 + n) for n in range(4)]
    pairs += [image(f"b{n}", f"base-{n}", days=100 + n) for n in range(4)]
    found = verdicts(repository(*pairs), replace(RULES, keep_code=2, keep_bases=3))
    assert [one.image.tags[0] for one in found.values() if one.fate is ImageFate.KEEP] == unordered(
        ["code-0", "code-1", "base-0", "base-1", "base-2"], found
    )
    assert found[d("c0")].reasons == ("among the newest 2 code images",)


def test_images_of_one_moment_are_equally_new() -> None:
    pairs = [image("c0", "code-0", days=100), *(image(f"c{n}", f"code-{n}", days=101) for n in (1, 2))]
    pairs += [image("c3", "code-3", days=102)]
    found = verdicts(repository(*pairs), replace(RULES, keep_code=2))
    assert {name: found[d(name)].fate for name in ("c0", "c1", "c2", "c3")} == {
        "c0": ImageFate.KEEP,
        "c1": ImageFate.KEEP,
        "c2": ImageFate.KEEP,
        "c3": ImageFate.DELETE,
    }


def unordered(tags: list[str], found: dict[Digest, ImageVerdict]) -> list[str]:
    """`tags` in the order of the verdicts."""
    return [one.image.tags[0] for one in found.values() if one.image.tags[0] in tags]


def test_image_of_unknown_age_stays() -> None:
    one, content = image("old", "code-a")
    assert fate((replace(one, pushed_at=None), content)).reasons == ("its age is not known",)


def test_nothing_goes_where_a_source_could_not_be_read() -> None:
    found = fate(image("old", "code-a"), unread=[UNREAD])
    assert (found.fate, found.reasons) == (
        ImageFate.KEEP,
        ("not known whether it is used: jobs could not be read",),
    )


def test_tag_that_the_repository_does_not_have_needs_nothing() -> None:
    assert fate(image("old", "code-a"), uses=[use("latest"), use(d("elsewhere"))]).fate is ImageFate.DELETE


def test_limit_takes_what_names_others_first_and_says_what_waits() -> None:
    pairs = [
        image("signature", subject="old", days=90),
        image("old", "code-a", days=100, base="below"),
        image("below", "base-a", days=110),
    ]
    held = repository(*pairs, *NEWEST)
    digests = {d("signature"), d("old"), d("below")}
    assert removal_order(held, digests) == [d("signature"), d("old"), d("below")]
    found = verdicts(held, replace(RULES, most=1))
    assert [one for one in digests if found[one].fate is ImageFate.DELETE] == [d("signature")]
    assert found[d("old")].reasons == (
        "nothing needs it",
        "left for a later run: the limit of this one is reached",
    )


def test_layers_that_images_share_cost_once_and_are_freed_by_the_last() -> None:
    pairs = [
        image("a", "code-a", layers=["base", "a"]),
        image("b", "code-b", layers=["base", "b"]),
        image("c", "code-c", layers=["base", "c"]),
    ]
    held = repository(*pairs)
    assert freed_by_each(held) == {d(name): Freed(bytes=1_000_000) for name in "abc"}
    assert freed_by(held, [d("a"), d("b")]) == Freed(bytes=2_000_000)
    assert freed_by(held, [d("a"), d("b"), d("c")]) == Freed(bytes=4_000_000)
    assert freed_by_each(held, [d("a"), d("b")])[d("a")] == Freed(bytes=1_000_000)
    assert freed_by(held, [d("a")]).cost.usd == monthly_usd_of_images(1_000_000)


def test_image_whose_manifest_tells_no_layers_counts_whole_as_an_upper_bound() -> None:
    one, _ = image("old", "code-a")
    held = repository((one, ManifestContent()), image("other", "code-b"))
    assert (
        freed_by(held, [one.digest]) == freed_by_each(held)[one.digest] == Freed(bytes=1_000_000, is_upper_bound=True)
    )


def test_kind_is_told_by_tags_and_else_by_the_manifest() -> None:
    kinds = {
        "code": image("a", "code-a"),
        "base": image("a", "base-a"),
        "index": image("a", children=["b"], layers=[]),
        "attached": image("a", f"sha256-{d('b')[7:]}"),
        "other": image("a", "v1"),
    }
    assert {kind: kind_of(*pair).value for kind, pair in kinds.items()} == {kind: kind for kind in kinds}
    assert kind_of(*image("a", base="b")) is ImageKind.CODE
    assert kind_of(*image("a", "code-a", subject="b")) is ImageKind.ATTACHED


def test_manifest_tells_layers_children_subject_and_base() -> None:
    layer = {"digest": d("layer"), "size": 5}
    found = content_of(
        {
            "config": {"digest": d("config"), "size": 2},
            "layers": [layer],
            "subject": {"digest": d("subject"), "size": 1},
            "annotations": {"org.opencontainers.image.base.digest": d("base")},
        }
    )
    assert found == ManifestContent(
        layers=(d("layer"),), blobs={d("layer"): 5, d("config"): 2}, subject=d("subject"), base=d("base")
    )
    assert content_of({"manifests": [{"digest": d("child")}]}).children == (d("child"),)
    unknown: list[dict[str, Any]] = [
        {"layers": [{}]},
        {"layers": [{"digest": 1, "size": 1}]},
        {"layers": [{"digest": "x", "size": "y"}]},
    ]
    for broken in unknown:
        with pytest.raises((KeyError, TypeError, ValueError)):
            content_of(broken)


names = st.sampled_from([f"n{number}" for number in range(8)])
some = st.lists(names, max_size=2, unique=True)


@st.composite
def repositories(draw: st.DrawFn) -> Repository:
    pairs = []
    for name in draw(st.lists(names, unique=True, max_size=8)):
        tags = draw(st.sampled_from([(), (f"code-{name}",), (f"base-{name}",), ("v1",), (f"code-{name}", "prod")]))
        pairs.append(
            image(
                name,
                *tags,
                days=draw(st.sampled_from([1, 10, 100, 200])),
                pulled_days=draw(st.sampled_from([None, None, 3, 90])),
                layers=draw(some),
                base=draw(st.just("") | names),
                children=[one for one in draw(some) if one != name],
                subject=draw(st.just("") | names),
            )
        )
    uses = draw(st.lists(st.builds(use, st.builds(d, names) | names.map(lambda one: f"code-{one}")), max_size=2))
    return repository(*pairs, uses=uses, unread=draw(st.just([]) | st.just([]) | st.just([UNREAD])))


limits = st.builds(
    ImageRetention,
    keep_code=st.integers(min_value=1, max_value=3),
    keep_bases=st.integers(min_value=1, max_value=3),
    min_age=st.builds(timedelta, days=st.sampled_from([0, 30])),
    untagged_age=st.builds(timedelta, days=st.sampled_from([0, 7])),
    most=st.integers(min_value=0, max_value=8),
)


def going(held: Repository, rules: ImageRetention) -> set[Digest]:
    return {digest for digest, one in verdicts(held, rules).items() if one.fate is ImageFate.DELETE}


@given(repositories(), limits)
def test_nothing_goes_that_anything_needs_or_is_new_or_in_an_unreadable_world(
    held: Repository, rules: ImageRetention
) -> None:
    gone = going(held, rules)
    assert not gone & needed_images(held).keys()
    assert not (gone and held.unread)
    assert len(gone) <= rules.most
    for one in held.images:
        if one.digest in gone:
            least = rules.min_age if one.tags else rules.untagged_age
            age = one.age(NOW)
            assert age is not None
            assert age >= least
            assert one.pulled_at is None or NOW - one.pulled_at >= rules.min_age
            assert not one.foreign_tags


@given(repositories(), limits)
def test_what_stays_lacks_nothing_that_it_had(held: Repository, rules: ImageRetention) -> None:
    gone = going(held, rules)
    for one in held.images:
        content = held.content(one)
        relatives = {*content.children, *filter(None, (content.subject, content.base))} - {one.digest}
        if one.digest not in gone:
            assert not gone & relatives


@given(repositories(), limits)
def test_every_image_can_go_in_its_turn(held: Repository, rules: ImageRetention) -> None:
    """No image goes before an index that names it, unless they name each other."""
    order = removal_order(held, going(held, rules))
    after = set(order)
    named = {digest: set(held.contents[digest].children) for digest in order}
    for digest in order:
        after.discard(digest)
        assert not [one for one in after if digest in named[one] and not _reaches(held, digest, one)]


def _reaches(held: Repository, start: Digest, end: Digest) -> bool:
    """Whether `start` needs `end` gone... in a circle, which real digests cannot make."""
    seen, waiting = set[Digest](), [start]
    while waiting:
        one = waiting.pop()
        if one == end:
            return True
        if one in seen:
            continue
        seen.add(one)
        content = held.contents.get(one, ManifestContent())
        waiting += [*content.children, *filter(None, (content.subject, content.base))]
    return False


@given(repositories(), limits.filter(lambda rules: rules.most > 0))
def test_limited_runs_come_to_the_same_end(held: Repository, rules: ImageRetention) -> None:
    whole = going(held, replace(rules, most=len(held.images)))
    gone: set[Digest] = set()
    for _ in range(len(held.images) + 1):
        left = replace(held, images=tuple(one for one in held.images if one.digest not in gone))
        gone |= going(left, rules)
    assert gone == whole


@pytest.mark.parametrize(
    ("tags", "media_type", "is_told"),
    [
        (("code-a",), "application/vnd.oci.image.manifest.v1+json", True),
        (("base-a", "v1"), "application/vnd.docker.distribution.manifest.v2+json", True),
        (("code-a",), "application/vnd.oci.image.index.v1+json", False),
        (("code-a",), "application/vnd.docker.distribution.manifest.list.v2+json", False),
        (("v1",), "application/vnd.oci.image.manifest.v1+json", False),
        ((), "application/vnd.oci.image.manifest.v1+json", False),
    ],
)
def test_only_capctls_own_tag_on_no_index_tells_what_an_image_is(
    tags: tuple[str, ...], media_type: str, is_told: bool
) -> None:
    assert RepositoryImage(digest=d("any"), tags=tags, media_type=media_type).is_told_by_tag is is_told
