"""Channels: names, notes, which AMIs they take, and what follows for statuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.ami_status import AmiState, AmiStatus
from lifecycle.domain.channel import (
    CANDIDATE,
    Channel,
    ChannelEntry,
    Note,
    entry_before,
    parse_channel,
    parse_note,
    promotion_order,
    require_taken,
    settled,
    takes,
)
from lifecycle.errors import CapctlError, UsageError
from tests.fakes.amis import FakeAmis
from tests.fakes.deploys import ami_tags

STABLE = Channel("stable")


def ami(status: str, *, state: AmiState = AmiState.AVAILABLE) -> AmiRecord:
    return FakeAmis().add("models", tags=ami_tags(status), state=state)


def history(*named: str) -> tuple[ChannelEntry, ...]:
    """Newest first; an AMI with `<` before it was gone back to."""
    entries = [
        ChannelEntry(
            channel=STABLE,
            version=number,
            ami_id=AmiId(name.lstrip("<")),
            since="",
            note=Note(by="ada", is_rollback=name.startswith("<")),
        )
        for number, name in enumerate(named, 1)
    ]
    return tuple(reversed(entries))


@pytest.mark.parametrize("name", ["stable", "candidate", "a", "eu-west-1", "am", "amin", "a" * 31])
def test_name_of_a_channel_is_lower_case_with_hyphens(name: str) -> None:
    assert parse_channel(name) == name


@pytest.mark.parametrize(
    "name", ["", "Stable", "1st", "-a", "a_b", "a/b", "a" * 32, "ami-0123456789abcdef0", "ami-x", "a\n"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError) as failed:
        parse_channel(name)
    assert failed.value.code == "channel-invalid"


@given(by=st.text(min_size=1, max_size=1200), reason=st.text(max_size=2000), is_rollback=st.booleans())
def test_note_reads_back_and_never_outgrows_a_parameters_description(by: str, reason: str, is_rollback: bool) -> None:
    text = Note(by=by, reason=reason, is_rollback=is_rollback).text()
    assert len(text) <= 1024
    found = parse_note(text, user_arn="")
    assert (found.by, found.is_rollback) == (by[:100], is_rollback)
    assert found.reason == reason or (found.reason.endswith("…") and reason.startswith(found.reason[:-1]))


@pytest.mark.parametrize("text", ["", "set by hand", "{}", "[1]", '{"by": 1}'])
def test_note_of_another_tool_names_the_user_of_aws(text: str) -> None:
    note = parse_note(text, user_arn="arn:aws:sts::123456789012:assumed-role/Ops/ada")
    assert note == Note(by="ada", reason=text)


@pytest.mark.parametrize("status", AmiStatus)
def test_channel_takes_what_has_come_far_enough_and_was_not_withdrawn(status: AmiStatus) -> None:
    smoked = {AmiStatus.SMOKE_PASSED, AmiStatus.PROMOTED, AmiStatus.SUPERSEDED}
    assert takes(STABLE, ami(status)) == (status in smoked)
    assert takes(CANDIDATE, ami(status)) == (status in smoked | {AmiStatus.VERIFIED})
    assert not takes(CANDIDATE, ami(status, state=AmiState.DISABLED))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("verified", "ami-not-smoked"),
        ("candidate", "ami-not-verified"),
        ("disabled", "ami-not-verified"),
        ("", "ami-not-verified"),
        ("quarantined", "ami-status-unknown"),
    ],
)
def test_refusal_says_what_the_ami_lacks(status: str, code: str) -> None:
    with pytest.raises(CapctlError) as failed:
        require_taken(STABLE, ami(status))
    assert failed.value.code == code


def test_statuses_follow_from_what_channels_name() -> None:
    amis = FakeAmis()
    records = {status: amis.add(status, tags=ami_tags(status)) for status in [*AmiStatus, "quarantined"]}
    ids = {status: record.id for status, record in records.items()}
    assert settled(records.values(), ids.values()) == {
        ids["smoke-passed"]: AmiStatus.PROMOTED,
        ids["superseded"]: AmiStatus.PROMOTED,
    }
    assert settled(records.values(), ()) == {ids["promoted"]: AmiStatus.SUPERSEDED}


@pytest.mark.parametrize(
    ("named", "usable", "before"),
    [
        ("A", "AB", None),
        ("AB", "AB", "A"),
        ("ABB", "AB", "A"),
        ("ABC", "AC", "A"),
        ("ABC", "C", None),
        ("ABA", "AB", "B"),
    ],
)
def test_way_back_leads_to_the_newest_other_ami_that_is_usable(named: str, usable: str, before: str | None) -> None:
    found = entry_before(history(*named), usable=lambda ami_id: ami_id in usable)
    assert (found.ami_id if found else None) == before


@pytest.mark.parametrize(
    ("named", "order"),
    [
        (["A", "B", "C"], "ABC"),
        (["A", "B", "<A"], "AB"),
        (["A", "B", "A"], "BA"),
        (["A", "B", "C", "<B", "A"], "BCA"),
        (["<B", "A"], "BA"),
    ],
)
def test_going_back_promotes_nothing(named: list[str], order: str) -> None:
    assert promotion_order(history(*named)) == tuple(order)
