"""What a sweep may remove."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.domain.ami import AmiRecord
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.sweep import (
    FINISHED_WITHIN,
    KnownRun,
    Leftover,
    LeftoverKind,
    SweepRules,
    half_made,
    judge,
    judge_all,
)
from lifecycle.domain.tags import Tag
from tests.fakes.amis import FakeAmis

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
OLD = NOW - 7 * HOUR
LIVE = KnownRun(id="live", is_held=True, started=NOW - HOUR, until=NOW + HOUR, named=frozenset({"packer_live"}))
DEAD = KnownRun(
    id="dead", is_held=False, started=NOW - HOUR, until=NOW + HOUR, named=frozenset({"packer_dead", "ami-d"})
)
STRAY = KnownRun(id="stray", is_held=True, started=NOW - 5 * HOUR, until=NOW - HOUR)
RULES = SweepRules(
    project="vision",
    now=NOW,
    older_than=6 * HOUR,
    runs={run.id: run for run in (LIVE, DEAD, STRAY)},
    finishable={"ami-f"},
    in_use={"ami-r": ("used by release r1",), "snap-t": ("used by launch template web",)},
)
KIND = LeftoverKind


def item(kind: LeftoverKind = KIND.INSTANCE, **known: object) -> Leftover:
    return Leftover(**{"kind": kind, "id": "x", "project": "vision", "created": OLD, **known})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "removes", "because"),
    [
        (item(run_id="dead", created=NOW), True, "run `dead` is dead"),
        (item(run_id="stray", created=NOW), True, "run `stray` is dead"),
        (item(run_id="live"), False, "run `live` is alive"),
        (item(run_id="far"), True, "run `far` is not known here, and it is older than 6h"),
        (item(run_id="far", created=NOW), False, "it is younger than 6h"),
        (item(run_id="far", run_until=NOW + HOUR), False, "run `far` may live until 2026-01-02 01:00:00Z"),
        (item(run_id="far", run_until=NOW - HOUR), True, "run `far` is not known here, and it is older than 6h"),
        (item(run_id="dead", run_until=NOW + HOUR), True, "run `dead` is dead"),
        (item(run_id="far", created=None), False, "nothing tells how old it is"),
        (item(run_id="dead", project="other"), False, "it is of project `other`"),
        (item(project=""), False, "nothing says that it is of project `vision`"),
        (item(KIND.SNAPSHOT, project=""), False, "nothing says that it is of project `vision`"),
        (item(KIND.SNAPSHOT, run_id="far"), False, "`capctl ami prune` decides, since no run that died here made it"),
        (item(KIND.SNAPSHOT, id="snap-t", run_id="dead"), False, "used by launch template web"),
        (item(KIND.SNAPSHOT, project="", name="ami-d", created=NOW), True, "run `dead` is dead"),
        (item(KIND.KEY_PAIR, project=""), True, "no run is known to need it, and it is older than 6h"),
        (item(KIND.KEY_PAIR, project="", created=NOW), False, "it may be of run `live`, which is alive"),
        (item(KIND.KEY_PAIR, project="", name="packer_dead", created=NOW), True, "run `dead` is dead"),
        (item(KIND.KEY_PAIR, project="", name="packer_live"), False, "run `live` is alive"),
        (item(KIND.SECURITY_GROUP, project="", users=frozenset({"i-1"})), False, "i-1 uses it"),
        (item(KIND.AMI, id="ami-r", run_id="dead"), False, "used by release r1"),
        (item(KIND.AMI, id="ami-f", run_id="dead"), False, "`capctl ami bake` can finish it, until it is 24h old"),
        (item(KIND.AMI, id="ami-f", created=NOW - FINISHED_WITHIN), True, "no run is known to need it, and it is older than 6h"),
        (item(KIND.AMI, run_id="dead", created=NOW), True, "run `dead` is dead"),
        (item(KIND.AMI, run_id="dead", run_until=NOW + HOUR), True, "run `dead` is dead"),
        (item(KIND.AMI, run_id="dead", run_until=NOW + 2 * HOUR), False, "another run may live until 2026-01-02 02:00:00Z"),
        (item(KIND.AMI, run_id="far", is_complete=True), False, "it is complete, and nothing proves that a bake left it half-made"),
        (item(KIND.AMI, instance="i-1", is_complete=True), False, "it is complete, and nothing proves that a bake left it half-made"),
        (item(KIND.AMI, run_id="far", instance="i-1", is_complete=True), True, "run `far` is not known here, and it is older than 6h"),
    ],
)  # fmt: skip
def test_leftover_goes_or_stays_for_its_first_reason(found: Leftover, removes: bool, because: str) -> None:
    verdict = judge(found, RULES)
    assert (verdict.removes, verdict.because) == (removes, because)


def made(
    state: AmiState = AmiState.AVAILABLE,
    *,
    name: str = "by-hand",
    launched: str = "",
    instance: str = "i-1",
    **tags: str,
) -> AmiRecord:
    told = {getattr(Tag, key.upper()).value: value for key, value in tags.items()}
    ami = FakeAmis().add(name, tags=told, instance_id=instance)
    return replace(ami, state=state, last_launched=launched)


NAME = "vision-models-0123456789ab-01234567"


@pytest.mark.parametrize(
    ("ami", "is_leftover"),
    [
        (made(name=NAME), True),
        (made(name=NAME, instance=""), False),
        (made(AmiState.FAILED, name=NAME, instance=""), False),
        (made(name=f"{NAME}-20260101-000000-abcdef"), True),
        (made(project="vision", run="r1"), True),
        (made(AmiState.PENDING, project="vision", run="r1", status="candidate"), True),
        (made(AmiState.FAILED, project="vision", run="r1", evidence="sha256:0"), True),
        (made(), False),
        (made(project="vision"), False),
        (made(AmiState.FAILED, project="vision"), False),
        (made(project="other", run="r1"), False),
        (made(name=NAME, project="other"), False),
        (made(name=NAME, status="verified"), False),
        (made(name=NAME, status="candidate", evidence="sha256:0"), False),
        (made(name=NAME, status="candidate", verified="failed"), False),
        (made(name=NAME, copied_from="us-west-2/ami-1"), False),
        (made(name=NAME, launched="2026-01-01T00:00:00Z"), False),
        (made(AmiState.DISABLED, name=NAME), False),
    ],
)
def test_ami_is_left_over_if_capctl_made_it_and_it_never_came_to_its_end(ami: AmiRecord, is_leftover: bool) -> None:
    assert (half_made(ami, "vision") is not None) is is_leftover


def test_group_of_an_instance_that_goes_is_not_in_use() -> None:
    users = frozenset({"i-1"})
    group, instance = item(KIND.SECURITY_GROUP, id="sg-1", run_id="dead", users=users), item(id="i-1", run_id="dead")
    assert [(one.item.id, one.removes) for one in judge_all([group, instance], RULES)] == [
        ("i-1", True),
        ("sg-1", True),
    ]
    kept = replace(instance, run_id="live")
    assert not any(one.removes for one in judge_all([group, kept], RULES))


moments = st.none() | st.integers(-100, 100).map(lambda hours: NOW + hours * HOUR)
items = st.builds(
    Leftover,
    kind=st.sampled_from(LeftoverKind),
    id=st.sampled_from(["ami-f", "ami-r", "ami-d", "snap-t", "i-1", "x"]),
    name=st.sampled_from(["", "packer_live", "packer_dead", "packer_other"]),
    project=st.sampled_from(["", "vision", "other"]),
    run_id=st.sampled_from(["", "live", "dead", "stray", "far"]),
    created=moments,
    run_until=moments,
    users=st.frozensets(st.sampled_from(["i-1", "i-2"])),
    instance=st.sampled_from(["", "i-1"]),
    is_complete=st.booleans(),
)
ages = st.integers(0, 48).map(lambda hours: hours * HOUR)


@given(items, ages)
def test_nothing_goes_that_somebody_may_need(found: Leftover, older_than: timedelta) -> None:
    rules = replace(RULES, older_than=older_than)
    if not judge(found, rules).removes:
        return
    owner = rules.owner(found)
    assert owner != "live"
    assert found.project != "other"
    assert not found.users
    assert owner in {"dead", "stray"} or not (found.run_until and found.run_until >= NOW)
    assert owner in {"dead", "stray"} or (found.created and NOW - found.created >= older_than)
    assert found.id not in RULES.in_use
    if found.kind is LeftoverKind.SNAPSHOT:
        assert owner in {"dead", "stray"}
    assert not found.is_complete or (found.instance and owner)
    if found.kind is LeftoverKind.AMI:
        assert found.id != "ami-f" or (found.created and NOW - found.created >= FINISHED_WITHIN)


@given(items, ages, ages)
def test_what_goes_at_an_age_goes_at_every_lower_limit_too(
    found: Leftover, first: timedelta, second: timedelta
) -> None:
    lower, higher = sorted((first, second))
    if judge(found, replace(RULES, older_than=higher)).removes:
        assert judge(found, replace(RULES, older_than=lower)).removes


@given(st.lists(items))
def test_verdicts_come_in_the_order_of_removal_and_none_is_lost(found: list[Leftover]) -> None:
    verdicts = judge_all(found, RULES)
    order = [list(LeftoverKind).index(one.item.kind) for one in verdicts]
    assert order == sorted(order)
    assert len(verdicts) == len(found)
