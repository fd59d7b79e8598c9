"""Disable: nobody can start the AMI any more, nobody keeps a grant, and only a proof brings it back."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from lifecycle.domain.ami import AmiRecord, Grant
from lifecycle.domain.ami_status import AmiState, AmiStatus
from lifecycle.domain.channel import CANDIDATE, Channel, Note
from lifecycle.domain.plan import Plan
from lifecycle.domain.tags import Tag
from lifecycle.domain.usage import Unread, Use
from lifecycle.errors import CapctlError, ExitCode, Inconclusive
from lifecycle.ports import Ports
from lifecycle.workflows.disable_ami import plan_disable, plan_enable
from lifecycle.workflows.execute import execute
from tests.fakes.amis import FakeAmis
from tests.fakes.bakes import Scene, names_of
from tests.fakes.faults import Broken
from tests.fakes.releases import make_release
from tests.fakes.runs import RUN
from tests.fakes.stack import FakeStack

OTHER, PARTNER = Grant(account="210987654321"), Grant(account="321098765432")
UNREAD = Unread(source="instances", why="AWS refused reading instances")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
def ami(scene: Scene) -> AmiRecord:
    """One that nothing names: the channel of bakes has gone on."""
    made = scene.bake()
    scene.ports.channels.delete(CANDIDATE)
    return made


def disable(scene: Scene, ami: AmiRecord, *, force: bool = False) -> Plan:
    plan = plan_disable(scene.ports, scene.target, RUN, ami.id, force=force)
    execute(plan, scene.ports, RUN)
    return plan


def enable(scene: Scene, ami: AmiRecord) -> Plan:
    plan = plan_enable(scene.ports, scene.target, RUN, ami.id)
    execute(plan, scene.ports, RUN)
    return plan


def code_of(scene: Scene, ami: AmiRecord, *, force: bool = False) -> str:
    with pytest.raises(CapctlError) as failed:
        disable(scene, ami, force=force)
    return failed.value.code


def use(scene: Scene, ami: AmiRecord) -> str:
    """A release of the AMI; returns its id."""
    release = replace(make_release(), ami_id=ami.id)
    scene.ports.stack.add_release(release, needed=frozenset())
    return release.id


def test_disabled_ami_says_since_when_and_is_shared_with_nobody(scene: Scene, ami: AmiRecord) -> None:
    scene.amis.change_grants(ami.id, add=[OTHER])
    disable(scene, ami)
    found = scene.amis.get(ami.id)
    assert (found.state, found.status) == (AmiState.DISABLED, AmiStatus.DISABLED)
    assert found.tags[Tag.DISABLED_AT] == "2026-01-01T00:00:00Z"
    assert scene.amis.grants(ami.id) == frozenset()
    assert set(scene.amis.snapshot_grants(ami.snapshot_ids).values()) == {frozenset()}


def test_disabled_ami_says_who_did_it_and_why_until_it_is_back(scene: Scene, ami: AmiRecord) -> None:
    run = replace(RUN, user="ada", reason="a track\nis lost" + "!" * 300)
    execute(plan_disable(scene.ports, scene.target, run, ami.id, force=True), scene.ports, run)
    told = scene.amis.get(ami.id).tags[Tag.DISABLED_BY]
    assert (told[:20], told[-1], len(told)) == ("ada: a track is lost", "…", 256)
    scene.amis.change_grants(ami.id, add=[OTHER])
    disable(scene, ami)
    assert scene.amis.get(ami.id).tags[Tag.DISABLED_BY] == told
    assert plan_disable(scene.ports, scene.target, RUN, ami.id, force=False).because.endswith(f", by {told}")
    enable(scene, ami)
    assert Tag.DISABLED_BY not in scene.amis.get(ami.id).tags


def test_who_loses_a_grant_is_told_before_and_recorded_after(scene: Scene, ami: AmiRecord) -> None:
    scene.amis.change_grants(ami.id, add=[OTHER])
    scene.amis.set_snapshot_grants(ami.snapshot_ids[0], PARTNER)
    disable(scene, ami)
    begun, ended = scene.ports.journal.entries()[-2:]
    assert begun.step.endswith("and the grants of 210987654321, 321098765432 are taken away")
    assert ended.outcome == "disabled; taken from 210987654321, 321098765432"


def test_snapshot_that_another_ami_has_keeps_its_tags_and_grants(scene: Scene, ami: AmiRecord) -> None:
    other = scene.amis.register("by hand", ami.snapshot_ids)
    (snapshot,) = other.snapshot_ids
    scene.amis.set_snapshot_grants(snapshot, PARTNER)
    tags = dict(scene.amis.snapshot_tags[snapshot])
    disable(scene, ami)
    enable(scene, ami)
    disable(scene, ami)
    assert scene.amis.get(ami.id).status is AmiStatus.DISABLED
    assert scene.amis.snapshot_tags[snapshot] == tags
    assert scene.amis.snapshot_grants([snapshot]) == {snapshot: {PARTNER}}


def test_disabling_again_changes_nothing_and_keeps_the_time(scene: Scene, ami: AmiRecord) -> None:
    disable(scene, ami)
    scene.ports.clock.sleep(3600)
    assert disable(scene, ami).steps == ()
    assert scene.amis.get(ami.id).tags[Tag.DISABLED_AT] == "2026-01-01T00:00:00Z"


def test_disable_that_was_killed_before_its_tags_is_finished(scene: Scene, ami: AmiRecord) -> None:
    scene.amis.disable(ami.id)
    disable(scene, ami)
    assert scene.amis.get(ami.id).status is AmiStatus.DISABLED


@pytest.mark.parametrize("by", ["release", "channel", "instance", "instance of its snapshot"])
def test_ami_that_anything_uses_is_not_disabled(scene: Scene, ami: AmiRecord, by: str) -> None:
    if by == "release":
        use(scene, ami)
    elif by == "channel":
        scene.ports.channels.write(Channel("prod"), ami.id, Note(by="ann"), is_first=True)
    else:
        of = ami.id if by == "instance" else ami.snapshot_ids[0]
        scene.ports.ami_users.uses.append(Use(of=of, kind="instance", name="i-1"))
    assert code_of(scene, ami) == "ami-in-use"
    assert scene.amis.get(ami.id).state is AmiState.AVAILABLE


def test_use_that_comes_between_plan_and_step_stops_it(scene: Scene, ami: AmiRecord) -> None:
    plan = plan_disable(scene.ports, scene.target, RUN, ami.id, force=False)
    use(scene, ami)
    with pytest.raises(CapctlError) as failed:
        execute(plan, scene.ports, RUN)
    assert failed.value.code == "ami-in-use"
    assert scene.amis.get(ami.id).state is AmiState.AVAILABLE


def test_promoted_ami_is_not_disabled(scene: Scene, ami: AmiRecord) -> None:
    scene.mark(ami.id, AmiStatus.PROMOTED)
    assert code_of(scene, ami) == "ami-in-use"


def test_force_withdraws_from_a_release_and_says_who_feels_it(scene: Scene, ami: AmiRecord) -> None:
    release_id = use(scene, ami)
    scene.mark(ami.id, AmiStatus.PROMOTED)
    scene.amis.change_grants(ami.id, add=[OTHER])
    scene.ports.ami_users.unread.append(UNREAD)
    plan = disable(scene, ami, force=True)
    assert plan.because == (
        f"it is withdrawn from everybody: used by release {release_id} (candidate); "
        "not known whether it is used: instances could not be read"
    )
    assert scene.amis.get(ami.id).status is AmiStatus.DISABLED


def test_force_takes_a_status_of_another_version(scene: Scene, ami: AmiRecord) -> None:
    scene.mark(ami.id, "signed")
    assert code_of(scene, ami) == "ami-status-unknown"
    disable(scene, ami, force=True)


class UnreadableStack(FakeStack):
    """A stack whose passphrase nobody has at night."""

    def releases(self) -> tuple[()]:
        raise CapctlError("passphrase-missing", "No passphrase is set")


@pytest.mark.parametrize("source", ["releases", "instances"])
def test_what_cannot_be_read_refuses_unless_forced(scene: Scene, ami: AmiRecord, source: str) -> None:
    if source == "releases":
        scene.ports.stack = UnreadableStack()
    else:
        scene.ports.ami_users.unread.append(UNREAD)
    with pytest.raises(Inconclusive) as failed:
        disable(scene, ami)
    assert (failed.value.code, failed.value.exit_code) == ("use-unproven", ExitCode.INCONCLUSIVE)
    assert failed.value.details[0].startswith(f"{source}: ")
    assert f"not known whether it is used: {source} could not be read" in disable(scene, ami, force=True).because
    assert scene.amis.get(ami.id).state is AmiState.DISABLED


def test_use_is_told_before_what_could_not_be_read(scene: Scene, ami: AmiRecord) -> None:
    use(scene, ami)
    scene.ports.ami_users.unread.append(UNREAD)
    assert code_of(scene, ami) == "ami-in-use"


def test_ami_that_was_started_again_since_it_was_disabled_tells_a_new_moment(scene: Scene, ami: AmiRecord) -> None:
    disable(scene, ami)
    scene.amis.enable(ami.id)
    scene.ports.clock.sleep(3600)
    disable(scene, ami)
    assert scene.amis.get(ami.id).tags[Tag.DISABLED_AT] == "2026-01-01T01:00:00Z"


@pytest.mark.parametrize("is_lost", [False, True])
@pytest.mark.parametrize("at", range(14))
def test_disable_that_failed_halfway_tells_no_moment_from_before(
    scene: Scene, ami: AmiRecord, at: int, is_lost: bool
) -> None:
    disable(scene, ami)
    scene.amis.enable(ami.id)
    scene.ports.clock.sleep(10 * 86_400)
    ports = cast("Ports", Broken(scene.ports, "amis", at=at, is_lost=is_lost))
    with suppress(CapctlError):
        execute(plan_disable(ports, scene.target, RUN, ami.id, force=False), ports, RUN)
    found = scene.amis.get(ami.id)
    assert found.state is AmiState.AVAILABLE or found.tags.get(Tag.DISABLED_AT) in {None, "2026-01-11T00:00:00Z"}
    disable(scene, ami)
    assert scene.amis.get(ami.id).tags[Tag.DISABLED_AT] == "2026-01-11T00:00:00Z"


def test_moment_after_which_an_instance_was_started_counts_no_more(scene: Scene, ami: AmiRecord) -> None:
    disable(scene, ami)
    scene.ports.clock.sleep(10 * 86_400)
    scene.amis.launched(ami.id, "2026-01-05T00:00:00.000Z")
    disable(scene, ami)
    assert scene.amis.get(ami.id).tags[Tag.DISABLED_AT] == "2026-01-11T00:00:00Z"


def test_grant_that_came_back_is_taken_away_and_the_moment_stays(scene: Scene, ami: AmiRecord) -> None:
    disable(scene, ami)
    scene.amis.change_grants(ami.id, add=[OTHER])
    scene.ports.clock.sleep(3600)
    disable(scene, ami)
    assert scene.amis.grants(ami.id) == frozenset()
    assert scene.amis.get(ami.id).tags[Tag.DISABLED_AT] == "2026-01-01T00:00:00Z"


def test_grant_that_stays_fails_the_step(scene: Scene, ami: AmiRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeAmis, "disable", lambda amis, one: amis.change(one, state=AmiState.DISABLED))
    scene.amis.change_grants(ami.id, add=[OTHER])
    assert code_of(scene, ami) == "ami-not-disabled"


def test_way_back_is_a_proof(scene: Scene, ami: AmiRecord) -> None:
    disable(scene, ami)
    assert names_of(enable(scene, ami)) == ["EnableAmi", "MakeCandidate", "ProveAmi"]
    found = scene.amis.get(ami.id)
    assert (found.state, found.status) == (AmiState.AVAILABLE, AmiStatus.VERIFIED)
    assert Tag.DISABLED_AT not in found.tags
    assert enable(scene, ami).steps == ()


def test_ami_that_cannot_be_proven_stays_a_candidate(scene: Scene, ami: AmiRecord) -> None:
    disable(scene, ami)
    scene.remove_reports()
    with pytest.raises(CapctlError, match="fails 1 of"):
        enable(scene, ami)
    assert scene.amis.get(ami.id).status is AmiStatus.CANDIDATE


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_way_back_that_was_killed_is_gone_on_with(scene: Scene, ami: AmiRecord, steps: int) -> None:
    disable(scene, ami)
    plan = plan_enable(scene.ports, scene.target, RUN, ami.id)
    execute(replace(plan, steps=plan.steps[:steps]), scene.ports, RUN)
    enable(scene, ami)
    assert scene.amis.get(ami.id).status is AmiStatus.VERIFIED
