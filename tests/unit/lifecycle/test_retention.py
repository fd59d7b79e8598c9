"""Which AMIs stay, whatever the world looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.domain.ami import AmiId, AmiRecord, Grant, SnapshotRecord
from lifecycle.domain.ami_status import AmiState, AmiStatus
from lifecycle.domain.cost import Cost, monthly_usd
from lifecycle.domain.retention import Fate, Rules, Verdict, World, judge, judge_snapshots
from lifecycle.domain.tags import Tag
from lifecycle.domain.usage import Unread, Use, UseReport, uses_text

NOW = datetime(2026, 11, 21, tzinfo=UTC)
RULES = Rules(keep_per_channel=3, min_age=timedelta(days=30), grace=timedelta(hours=48), most=10)
OTHER = Grant(account="210987654321")


def iso(ago: timedelta) -> str:
    return (NOW - ago).isoformat(timespec="seconds")


def ami(
    number: int = 1,
    *,
    days: float = 100,
    state: AmiState = AmiState.AVAILABLE,
    status: str | None = AmiStatus.VERIFIED,
    disabled_hours: float | None = None,
    launched_hours: float | None = None,
    is_protected: bool = False,
) -> AmiRecord:
    tags = {Tag.PROJECT.value: "vision", Tag.RUN.value: "r1"} | ({Tag.STATUS.value: str(status)} if status else {})
    if disabled_hours is not None:
        tags[Tag.DISABLED_AT.value] = iso(timedelta(hours=disabled_hours))
    return AmiRecord(
        id=AmiId(f"ami-{number:017x}"),
        name=f"vision-{number}",
        state=state,
        state_reason="",
        created=iso(timedelta(days=days)),
        architecture="x86_64",
        snapshot_ids=(f"snap-{number:017x}",),
        size_gib=30,
        tags=tags,
        is_protected=is_protected,
        last_launched=iso(timedelta(hours=launched_hours)) if launched_hours is not None else "",
    )


def snapshot(
    number: int = 1, *, full_bytes: int | None = None, hours: float = 1000, marked: float | None = None
) -> SnapshotRecord:
    return SnapshotRecord(
        id=f"snap-{number:017x}",
        state="completed",
        size_gib=30,
        full_bytes=full_bytes,
        encrypted=True,
        tags={} if marked is None else {Tag.DISABLED_AT.value: iso(timedelta(hours=marked))},
        ami_id=f"ami-{number:017x}",
        started=iso(timedelta(hours=hours)),
    )


def world(
    *,
    uses: Sequence[Use] = (),
    unread: Sequence[Unread] = (),
    channels: Mapping[str, Sequence[AmiId]] | None = None,
    grants: Mapping[str, frozenset[Grant] | None] | None = None,
) -> World:
    return World(report=UseReport(uses=tuple(uses), unread=tuple(unread)), channels=channels or {}, grants=grants or {})


def verdict(one: AmiRecord, around: World | None = None) -> Verdict:
    (found,) = judge([one], around or world(), RULES, NOW)
    return found


def off(*, hours: float | None = None, launched_hours: float | None = None) -> AmiRecord:
    """An AMI that was disabled."""
    return ami(state=AmiState.DISABLED, status=AmiStatus.DISABLED, disabled_hours=hours, launched_hours=launched_hours)


@pytest.mark.parametrize(
    ("one", "fate"),
    [
        (ami(), Fate.DISABLE),
        (ami(status=None), Fate.DISABLE),
        (ami(status="superseded"), Fate.DISABLE),
        (ami(state=AmiState.FAILED), Fate.DISABLE),
        (off(hours=49), Fate.DEREGISTER),
        (ami(state=AmiState.FAILED, status=AmiStatus.DISABLED, disabled_hours=49), Fate.DEREGISTER),
        # A run was killed between the two calls, or somebody enabled it again.
        (ami(state=AmiState.DISABLED), Fate.DISABLE),
        (off(), Fate.DISABLE),
        # What was started before says nothing any more; what was started since tells that it was enabled, so the grace begins anew.
        (off(hours=49, launched_hours=60), Fate.DEREGISTER),
        (off(hours=490, launched_hours=49), Fate.DISABLE),
        (ami(status=AmiStatus.DISABLED, disabled_hours=49), Fate.DISABLE),
    ],
)
def test_unused_ami_goes_in_two_phases(one: AmiRecord, fate: Fate) -> None:
    assert verdict(one).fate is fate


@pytest.mark.parametrize(
    ("one", "around", "reason"),
    [
        (ami(days=29), world(), "newer than 30 days"),
        (replace(ami(), created=""), world(), "its age is not known"),
        (ami(is_protected=True), world(), "protected from deregistration"),
        (ami(launched_hours=47), world(), f"an instance was started from it at {NOW - timedelta(hours=47):%Y-%m-%d %H:%M:%SZ}"),
        (replace(ami(), last_launched="yesterday"), world(), "an instance was started from it at yesterday"),
        (replace(off(hours=49), last_launched="yesterday"), world(), "an instance was started from it at yesterday"),
        (off(hours=49, launched_hours=47), world(), f"an instance was started from it at {NOW - timedelta(hours=47):%Y-%m-%d %H:%M:%SZ}"),
        (ami(), replace(world(), wanted=ami().id), "a bake would give it now"),
        (ami(state=AmiState.PENDING), world(), "its state is pending"),
        (ami(state=AmiState.UNKNOWN), world(), "its state is unknown"),
        (ami(status="blessed"), world(), "its status blessed is not one of this version of capctl"),
        (ami(status="promoted"), world(), "it is promoted"),
        (off(hours=47), world(), "disabled, goes after 2026-11-21 01:00:00Z"),
        (ami(), world(grants={ami().id: frozenset({OTHER})}), "shared with 210987654321"),
        (ami(), world(grants={ami().id: None}), "not known with whom it is shared"),
        (ami(), world(channels={"prod": [ami().id]}), "channel prod names it"),
        (ami(), world(channels={"prod": [ami(2).id, ami(2).id, ami(3).id, ami().id]}), "among the last 3 of channel prod"),
        (ami(), world(unread=[Unread(source="instances", why="no")]), "not known whether it is used: instances could not be read"),
        (ami(), world(uses=[Use(of=ami().id, kind="instance", name="i-1", detail="stopped")]), "used by instance i-1 (stopped)"),
        (ami(), world(uses=[Use(of=ami().snapshot_ids[0], kind="launch template", name="lt")]), "used by launch template lt"),
    ],
)  # fmt: skip
def test_ami_stays_and_the_reason_is_told(one: AmiRecord, around: World, reason: str) -> None:
    assert (verdict(one, around).fate, verdict(one, around).reasons) == (Fate.KEEP, (reason,))


def test_ami_that_is_off_goes_though_a_bake_would_want_it() -> None:
    assert verdict(off(hours=49), replace(world(), wanted=ami().id)).fate is Fate.DEREGISTER


def test_older_ami_of_a_channel_goes() -> None:
    history = [ami(number).id for number in range(2, 5)]
    assert verdict(ami(), world(channels={"prod": [*history, ami().id]})).fate is Fate.DISABLE


def test_every_reason_is_told() -> None:
    used = world(uses=[Use(of=ami().id, kind="instance", name=f"i-{n}") for n in range(5)])
    assert verdict(ami(days=1, is_protected=True), used).reasons == (
        "used by 5 instances: i-0, i-1, i-2, …",
        "newer than 30 days",
        "protected from deregistration",
    )
    assert uses_text([]) == ()


def test_oldest_go_first_and_the_others_wait() -> None:
    found = judge([ami(n, days=100 + n) for n in range(12)], world(), RULES, NOW)
    assert [one.fate for one in found] == [Fate.KEEP] * 2 + [Fate.DISABLE] * 10
    assert found[0].reasons[-1] == "left for a later run: the limit of this one is reached"


def test_deregistered_ami_gets_no_verdict() -> None:
    assert judge([ami(state=AmiState.DEREGISTERED)], world(), RULES, NOW) == ()


@pytest.mark.parametrize(
    ("one", "fate"),
    [
        (snapshot(hours=47), Fate.KEEP),
        (snapshot(hours=49), Fate.MARK),
        (snapshot(marked=47), Fate.KEEP),
        (snapshot(marked=49), Fate.DELETE),
        (replace(snapshot(), started=""), Fate.KEEP),
    ],
)
def test_snapshot_without_its_ami_goes_in_two_phases(one: SnapshotRecord, fate: Fate) -> None:
    (found,) = judge_snapshots([one], world(), RULES, NOW)
    assert found.fate is fate
    used = world(uses=[Use(of=one.id, kind="launch template", name="lt")])
    shared, unknown = (replace(world(), grants={one.id: given}) for given in (frozenset({OTHER}), None))
    for around in (used, shared, unknown, world(unread=[Unread(source="fleets", why="no")])):
        assert [each.fate for each in judge_snapshots([one], around, RULES, NOW)] == [Fate.KEEP]


def test_price_is_what_was_written_or_at_most_the_volume() -> None:
    assert monthly_usd([snapshot(full_bytes=2 * 2**30)]) == Cost(usd=0.1, is_upper_bound=False)
    assert str(monthly_usd([snapshot()])) == "<= $1.50"
    both = monthly_usd([snapshot(full_bytes=2 * 2**30), snapshot()])
    assert (round(both.usd, 2), both.is_upper_bound) == (1.6, True)
    (found,) = judge([ami()], world(), RULES, NOW, snapshots={snapshot().id: snapshot()})
    assert found.cost.usd == 1.5


numbers = st.integers(min_value=1, max_value=12)
hours = st.none() | st.floats(min_value=-24, max_value=200)
records = st.builds(
    ami,
    numbers,
    days=st.floats(min_value=-1, max_value=100),
    state=st.sampled_from(AmiState),
    status=st.none() | st.sampled_from([*AmiStatus, "blessed"]),
    disabled_hours=hours,
    launched_hours=hours,
    is_protected=st.booleans(),
)
fleets = st.lists(records, max_size=12, unique_by=lambda one: one.id)
ids = st.builds(lambda kind, number: f"{kind}-{number:017x}", st.sampled_from(["ami", "snap"]), numbers)
worlds = st.builds(
    world,
    uses=st.lists(st.builds(Use, of=ids, kind=st.just("instance"), name=st.just("i-1")), max_size=4),
    unread=st.lists(st.just(Unread(source="instances", why="no")), max_size=1) | st.just([]),
    channels=st.dictionaries(st.sampled_from(["prod", "test"]), st.lists(st.builds(lambda n: ami(n).id, numbers), max_size=5)),
    grants=st.dictionaries(
        st.builds(lambda n: ami(n).id, numbers), st.sampled_from([None, frozenset({OTHER}), frozenset[Grant]()])
    ),
)  # fmt: skip
rules = st.builds(
    Rules,
    keep_per_channel=st.integers(min_value=1, max_value=4),
    min_age=st.builds(timedelta, days=st.integers(min_value=0, max_value=60)),
    grace=st.builds(timedelta, hours=st.integers(min_value=24, max_value=96)),
    most=st.integers(min_value=0, max_value=4),
)


def going(amis: Sequence[AmiRecord], around: World, by: Rules, now: datetime = NOW) -> dict[AmiId, Fate]:
    return {one.ami.id: one.fate for one in judge(amis, around, by, now) if one.fate is not Fate.KEEP}


@given(fleets, worlds, rules)
def test_nothing_that_is_used_named_new_shared_or_in_an_unreadable_world_goes(
    amis: list[AmiRecord], around: World, by: Rules
) -> None:
    gone = going(amis, around, by)
    if around.report.unread:
        assert not gone
    used = {use.of for use in around.report.uses}
    named = {one for history in around.channels.values() for one in list(dict.fromkeys(history))[: by.keep_per_channel]}
    for one in amis:
        if one.id in gone:
            assert not used & {one.id, *one.snapshot_ids}
            assert one.id not in named
            # AWS's clock may be ahead.
            assert max(NOW - datetime.fromisoformat(one.created), timedelta()) >= by.min_age
            assert not one.is_protected
            assert around.grants.get(one.id, frozenset()) == frozenset()
            assert one.status not in {"blessed", AmiStatus.PROMOTED}


@given(fleets, worlds, rules)
def test_removals_never_exceed_the_limit(amis: list[AmiRecord], around: World, by: Rules) -> None:
    fates = list(going(amis, around, by).values())
    assert all(fates.count(fate) <= by.most for fate in Fate)


@given(fleets, worlds, rules)
def test_nothing_is_removed_that_was_not_disabled_for_the_whole_grace(
    amis: list[AmiRecord], around: World, by: Rules
) -> None:
    gone = going(amis, around, by)
    for one in amis:
        if gone.get(one.id) is Fate.DEREGISTER:
            assert one.state is AmiState.DISABLED or one.state.is_dead
            assert NOW - datetime.fromisoformat(one.tags[Tag.DISABLED_AT]) >= by.grace


def applied(one: AmiRecord, fate: Fate | None) -> AmiRecord | None:
    if fate is Fate.DEREGISTER:
        return None
    if fate is None:
        return one
    tags = one.tags | {Tag.STATUS.value: AmiStatus.DISABLED.value, Tag.DISABLED_AT.value: NOW.isoformat()}
    return replace(one, tags=tags, state=one.state if one.state.is_dead else AmiState.DISABLED)


@given(fleets, worlds, rules)
def test_deciding_again_after_applying_is_stable(amis: list[AmiRecord], around: World, by: Rules) -> None:
    unlimited = replace(by, most=len(amis))
    gone = going(amis, around, unlimited)
    left = [after for one in amis if (after := applied(one, gone.get(one.id)))]
    assert going(left, around, unlimited) == {}


@given(fleets, worlds, rules)
def test_limited_runs_come_to_the_same_end(amis: list[AmiRecord], around: World, by: Rules) -> None:
    unlimited = replace(by, most=len(amis))
    wanted = going(amis, around, unlimited)
    left, seen = list(amis), dict[AmiId, Fate]()
    for _ in range(len(amis) + 1):
        gone = going(left, around, replace(by, most=1))
        seen |= gone
        left = [after for one in left if (after := applied(one, gone.get(one.id)))]
    assert seen == wanted
