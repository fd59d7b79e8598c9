"""What a sweep asks before it removes an AMI or a snapshot."""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lifecycle.domain.ami import AmiRecord
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.channel import Channel, Note
from lifecycle.domain.plan import Plan
from lifecycle.domain.retention import Fate
from lifecycle.domain.sweep import KnownRun, Leftover, LeftoverKind, Verdict
from lifecycle.domain.tags import Tag
from lifecycle.domain.usage import Unread, Use
from lifecycle.errors import CapctlError
from lifecycle.workflows.disable_ami import plan_disable, plan_enable
from lifecycle.workflows.execute import execute
from lifecycle.workflows.list_amis import list_amis
from lifecycle.workflows.prune import plan_prune
from lifecycle.workflows.sweep import plan_sweep
from tests.fakes.bakes import Scene
from tests.fakes.leftovers import FakeLeftovers
from tests.fakes.runs import RUN

DAY_S = 86_400


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def planned(scene: Scene, run_id: str = "") -> tuple[tuple[Verdict, ...], Plan]:
    return plan_sweep(scene.ports, scene.target, run_id=run_id, older_than=timedelta(hours=6))


def half_made(scene: Scene) -> AmiRecord:
    """An AMI that a killed bake of another machine left long ago, whose report is lost."""
    ami = scene.amis.add("by-old-rules", tags={Tag.PROJECT.value: "vision", Tag.RUN.value: "r1"}, instance_id="i-1")
    scene.ports.clock.sleep(40 * DAY_S)
    return ami


def test_half_made_ami_that_nothing_uses_goes(scene: Scene) -> None:
    ami = half_made(scene)
    verdicts, plan = planned(scene)
    assert [(verdict.item.id, verdict.removes) for verdict in verdicts] == [(ami.id, True)]
    execute(plan, scene.ports, RUN)
    assert scene.amis.own() == ()


def test_half_made_ami_that_something_uses_or_that_cannot_be_proven_unused_stays(scene: Scene) -> None:
    ami, users = half_made(scene), scene.ports.ami_users
    users.uses.append(Use(of=ami.id, kind="instance", name="i-1"))
    assert [verdict.because for verdict in planned(scene)[0]] == ["used by instance i-1"]
    users.uses.clear()
    users.unread.append(Unread(source="fleets", why="denied"))
    assert [verdict.removes for verdict in planned(scene)[0]] == [False]


def test_one_scan_of_the_account_serves_the_plan_and_another_the_steps_of_a_minute(scene: Scene) -> None:
    for number in range(20):
        made = scene.amis.add(f"a{number}", tags={Tag.PROJECT.value: "vision", Tag.RUN.value: f"r{number}"})
        scene.amis.change(made.id, state=AmiState.FAILED)
    scene.ports.clock.sleep(DAY_S)
    _, plan = planned(scene)
    assert scene.ports.ami_users.scans == 1
    execute(plan, scene.ports, RUN)
    assert (scene.amis.own(), scene.ports.ami_users.scans) == ((), 2)


@pytest.mark.parametrize("comes", ["use", "mark", "status"])
def test_half_made_ami_that_came_into_use_after_the_plan_stays(scene: Scene, comes: str) -> None:
    ami = half_made(scene)
    _, plan = planned(scene)
    if comes == "use":
        scene.ports.ami_users.uses.append(Use(of=ami.id, kind="instance", name="i-1"))
    else:
        tags = {"mark": {Tag.RUN_UNTIL.value: "2999-01-01T00:00:00Z"}, "status": {Tag.STATUS.value: "verified"}}
        scene.amis.tag(ami.id, tags[comes])
    done = execute(plan, scene.ports, RUN)
    assert [failure.code for _, failure in done.failures] == ["leftover-needed"]
    assert scene.amis.own()


def test_sweep_leaves_an_ami_alone_that_capctl_did_not_make(scene: Scene) -> None:
    scene.amis.add("golden-debug-image", tags={Tag.PROJECT.value: "vision"})
    scene.ports.clock.sleep(40 * DAY_S)
    assert planned(scene)[0] == ()


@pytest.mark.parametrize(
    "tags", [{}, {Tag.PROJECT.value: "vision"}, {Tag.PROJECT.value: "vision", Tag.RUN.value: "r1"}]
)
def test_sweep_leaves_a_copy_alone_that_somebody_made_though_it_has_name_and_tags(
    scene: Scene, tags: dict[str, str]
) -> None:
    """CopyImage by hand: the name is kept, tags if asked. The source is another account's."""
    copy = scene.amis.copy_from(
        "us-west-2", replace(scene.bake(), name=f"vision-models-{'0' * 12}-0base000"), tags=tags
    )
    scene.ports.clock.sleep(40 * DAY_S)
    assert planned(scene)[0] == ()
    assert scene.amis.get(copy)


@pytest.mark.parametrize(("run", "instance"), [("", "i-1"), ("r1", "")])
def test_complete_ami_that_no_run_and_no_instance_prove_to_be_half_made_stays(
    scene: Scene, run: str, instance: str
) -> None:
    tags = {Tag.PROJECT.value: "vision", Tag.RUN.value: run} if run else {}
    ami = scene.amis.add(f"vision-models-{'0' * 12}-0base000", tags=tags, instance_id=instance)
    scene.ports.clock.sleep(40 * DAY_S)
    assert [verdict.because for verdict in planned(scene)[0]] == [
        "it is complete, and nothing proves that a bake left it half-made"
    ]
    scene.amis.change(ami.id, state=AmiState.FAILED)
    assert [verdict.removes for verdict in planned(scene)[0]] == [True]


def test_ami_without_tags_goes_that_a_dead_run_here_made_the_instance_of(scene: Scene) -> None:
    scene.amis.add(f"vision-models-{'0' * 12}-0base000", instance_id="i-1")
    scene.ports.bake_runs.add(KnownRun(id="r1", is_held=False, named=frozenset({"i-1"})))
    _, plan = planned(scene)
    execute(plan, scene.ports, RUN)
    assert scene.amis.own() == ()


def test_runs_are_read_after_what_they_left_or_a_bake_that_began_meanwhile_would_lose_its_things(scene: Scene) -> None:
    """The bake begins, and makes its group, after the sweep read the runs for the first time."""
    find = scene.ports.leftovers.find

    def begin_and_find(*, named: Collection[str] = ()) -> tuple[Leftover, ...]:
        scene.ports.bake_runs.add(KnownRun(id="r9", is_held=True, named=frozenset({"packer_x"})))
        return find(named=named)

    scene.ports.leftovers.find = begin_and_find  # type: ignore[method-assign]
    scene.ports.leftovers.add(
        Leftover(kind=LeftoverKind.SECURITY_GROUP, id="sg-1", name="packer_x", created=scene.ports.clock.now())
    )
    verdicts, _ = plan_sweep(scene.ports, scene.target, run_id="", older_than=timedelta(0))
    assert [verdict.because for verdict in verdicts] == ["run `r9` is alive"]


def test_sweep_leaves_an_ami_alone_that_is_being_brought_back(scene: Scene) -> None:
    ami = scene.bake()
    scene.ports.channels.write(Channel("stable"), ami.id, Note(by="ann"), is_first=True)
    scene.ports.clock.sleep(40 * DAY_S)
    execute(plan_disable(scene.ports, scene.target, RUN, ami.id, force=True), scene.ports, RUN)
    for step in plan_enable(scene.ports, scene.target, RUN, ami.id).steps[:2]:
        step.verify(step.apply())
    assert planned(scene)[0] == ()


def test_ami_that_a_bake_elsewhere_waits_for_stays_however_old_it_is(scene: Scene) -> None:
    ami = scene.leave_unproven()
    scene.amis.untag(ami.id, [Tag.EVIDENCE.value, Tag.VERIFIED.value])
    scene.remove_reports()
    scene.amis.change(ami.id, state=AmiState.PENDING)
    now = scene.ports.clock.now()
    scene.ports.bake_runs.add(KnownRun(id=RUN.id, is_held=False, until=now + timedelta(hours=2)))
    assert [verdict.removes for verdict in planned(scene)[0]] == [True]
    scene.amis.tag(ami.id, {Tag.RUN_UNTIL.value: (now + timedelta(hours=3)).isoformat()})
    assert [verdict.removes for verdict in planned(scene)[0]] == [False]


def test_orphan_snapshot_is_prunes_and_sweep_takes_only_what_a_run_left_that_died_here(scene: Scene) -> None:
    ami = scene.bake()
    (snapshot,) = ami.snapshot_ids
    scene.ports.clock.sleep(40 * DAY_S)
    scene.amis.orphan(ami.id)
    left = Leftover(kind=LeftoverKind.SNAPSHOT, id=snapshot, name=ami.id, project="vision", run_id=RUN.id)
    scene.ports.leftovers.add(replace(left, created=scene.ports.clock.now() - timedelta(days=40)))
    assert [verdict.fate for verdict in plan_prune(scene.ports, scene.target, most=10).orphans] == [Fate.MARK]
    assert [verdict.removes for verdict in planned(scene)[0]] == [False]
    scene.ports.bake_runs.add(KnownRun(id=RUN.id, is_held=False))
    assert [verdict.removes for verdict in planned(scene)[0]] == [True]
    scene.ports.ami_users.uses.append(Use(of=snapshot, kind="launch template", name="data-disk"))
    assert [verdict.fate for verdict in plan_prune(scene.ports, scene.target, most=10).orphans] == [Fate.KEEP]
    assert [verdict.removes for verdict in planned(scene)[0]] == [False]


def test_dead_runs_are_forgotten_with_one_look_at_what_is_left(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        scene.ports.bake_runs.add(KnownRun(id=f"r{number}", is_held=False))
    _, plan = planned(scene)
    looks: list[object] = []
    find = FakeLeftovers.find

    def counted(fake: FakeLeftovers, *, named: Collection[str] = ()) -> tuple[Leftover, ...]:
        looks.append(named)
        return find(fake, named=named)

    monkeypatch.setattr(FakeLeftovers, "find", counted)
    execute(plan, scene.ports, RUN)
    assert (len(looks), scene.ports.bake_runs.known()) == (1, ())


def test_bake_and_list_say_that_a_run_of_this_folder_died(scene: Scene) -> None:
    scene.ports.bake_runs.add(KnownRun(id="r1", is_held=False))
    scene.ports.bake_runs.add(KnownRun(id="r2", is_held=True))
    scene.plan()
    list_amis(scene.ports, scene.target)
    assert [line for line in scene.ports.ui.lines if "dead" in line] == [
        "Run `r1` is dead and may have left something: `capctl ami sweep` removes it"
    ] * 2


def test_plan_names_only_what_there_is(scene: Scene) -> None:
    scene.ports.bake_runs.paths.append("/tmp/capctl-bake-1")
    assert planned(scene)[1].because == "1 folder is left"
    scene.ports.bake_runs.add(KnownRun(id="r1", is_held=False))
    assert planned(scene)[1].because == "1 dead run, 1 folder are left"


def test_run_that_nobody_knows_is_an_error_and_one_of_the_journal_is_not(scene: Scene) -> None:
    with pytest.raises(CapctlError) as failed:
        planned(scene, "20260101-000000-typo00")
    assert failed.value.code == "run-unknown"
    scene.bake()
    assert planned(scene, RUN.id)[1].steps == ()


def test_step_that_goes_on_with_an_ami_marks_it_and_holds_its_run(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    ami = scene.leave_unproven()
    scene.amis.untag(ami.id, [Tag.EVIDENCE.value, Tag.VERIFIED.value])
    scene.amis.change(ami.id, state=AmiState.PENDING)
    scene.ports.clock.sleep(25 * 3600)
    step = scene.plan().steps[0]
    seen = []

    def look(_: float) -> None:
        (run,) = scene.ports.bake_runs.known()
        seen.append((run.id, scene.amis.get(ami.id).tags[Tag.RUN_UNTIL]))
        scene.amis.change(ami.id, state=AmiState.AVAILABLE)

    monkeypatch.setattr(scene.ports.clock, "sleep", look)
    step.apply()
    assert set(seen) == {(RUN.id, "2026-01-02T02:10:00Z")}
    assert scene.ports.bake_runs.known() == ()
