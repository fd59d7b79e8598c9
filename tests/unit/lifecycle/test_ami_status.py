"""An AMI's way through its statuses, whatever other runs do at the same time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.domain.ami_status import AmiState, AmiStatus
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError
from lifecycle.workflows.ami_status import MarkSmokePassed, set_status
from tests.fakes.amis import FakeAmis
from tests.fakes.deploys import ami_tags
from tests.fakes.ports import FakePorts
from tests.fakes.targets import make_target


@pytest.mark.parametrize("further", ["smoke-passed", "promoted", "superseded"])
def test_status_that_another_run_set_stays_though_the_first_look_did_not_see_it(further: str) -> None:
    amis = FakeAmis()
    early = amis.add("one", tags={Tag.STATUS.value: "candidate"})
    amis.tag(early.id, {Tag.STATUS.value: further})
    assert set_status(amis, early, AmiStatus.VERIFIED) == further
    assert amis.get(early.id).status == further


def test_ami_that_another_run_withdrew_a_moment_ago_stays_withdrawn() -> None:
    amis = FakeAmis()
    early = amis.add("one", tags={Tag.STATUS.value: "candidate"})
    amis.tag(early.id, {Tag.STATUS.value: "disabled"})
    with pytest.raises(CapctlError) as refused:
        set_status(amis, early, AmiStatus.VERIFIED)
    assert refused.value.code == "ami-status-refused"
    assert amis.get(early.id).status is AmiStatus.DISABLED


def test_second_look_that_is_earlier_than_the_first_changes_nothing() -> None:
    amis = FakeAmis()
    late = amis.add("one", tags={Tag.STATUS.value: "smoke-passed"})
    amis.tag(late.id, {Tag.STATUS.value: "verified"})
    assert set_status(amis, late, AmiStatus.PROMOTED) is AmiStatus.PROMOTED
    assert amis.get(late.id).status is AmiStatus.PROMOTED


@pytest.mark.parametrize(
    ("status", "state", "verified", "standing"),
    [
        ("verified", "available", "boot 2026-01-01T00:00:00Z", "verified"),
        ("disabled", "disabled", "", "disabled"),
        ("verified", "disabled", "", "`disabled` and verified"),
        ("", "pending", "", "`pending` and not baked by capctl"),
        ("promoted", "available", "failed boot now", "promoted, and its last verification failed (`failed boot now`)"),
    ],
)
def test_standing_of_an_ami_is_said_once_and_in_words(status: str, state: str, verified: str, standing: str) -> None:
    amis = FakeAmis()
    ami = amis.add("one", tags={Tag.STATUS.value: status, Tag.VERIFIED.value: verified})
    amis.change(ami.id, state=AmiState(state))
    assert amis.get(ami.id).standing() == standing


def test_mark_of_a_smoke_job_is_set_also_when_ec2_tells_of_the_ami_as_it_was_before_it_was_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = FakePorts()
    ami, get = ports.amis.add("one", tags=ami_tags("verified")), ports.amis.get
    past = [replace(ami, tags=ami_tags("candidate"))]
    monkeypatch.setattr(ports.amis, "get", lambda ami_id: past.pop() if past else get(ami_id))
    step = MarkSmokePassed(ports=ports, target=make_target(tmp_path), ami_id=ami.id)
    assert (step.apply().status, past) == (AmiStatus.SMOKE_PASSED, [])
    assert get(ami.id).status is AmiStatus.SMOKE_PASSED


@pytest.mark.parametrize(("status", "told"), [("verified", "tagged"), ("promoted", "left as it is, promoted")])
def test_mark_of_a_smoke_job_tells_that_it_left_an_ami_as_it_was(tmp_path: Path, status: str, told: str) -> None:
    ports = FakePorts()
    ami = ports.amis.add("one", tags=ami_tags(status))
    assert str(MarkSmokePassed(ports=ports, target=make_target(tmp_path), ami_id=ami.id).apply()) == told
