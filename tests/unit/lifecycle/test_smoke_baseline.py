"""How long a smoke job may work, beside the release before."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lifecycle.domain.check import Check
from lifecycle.domain.layout import Folder
from lifecycle.domain.smoke_run import SmokeRun, smoke_run
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.workflows.smoke_baseline import compare_run, keep_run
from tests.fakes.deploys import DeployWorld
from tests.fakes.pointers import pointer_at
from tests.fakes.ports import FakePorts
from tests.fakes.releases import make_release, result_document
from tests.fakes.stack import deployed
from tests.fakes.targets import make_target

OLD, NEW = make_release(1), make_release(2)
VIDEO: Mapping[str, Any] = {"codec": "h264", "size_bytes": 10_300}


def took(work_ms: int, instance_type: str = "g5.xlarge", **video: Any) -> SmokeRun:
    return SmokeRun(instance_type=instance_type, work_ms=work_ms, video={**VIDEO, **video})


def compared(
    folder: Path, earlier: tuple[SmokeRun | bytes, ...], run: SmokeRun, *, of: str = NEW.id, **smoke: Any
) -> tuple[FakePorts, tuple[Check, ...]]:
    ports, target = FakePorts(), make_target(folder, smoke=smoke)
    ports.pointers.move(pointer_at(OLD), expected_version=0)
    for number, kept in enumerate(earlier):
        session = f"smoke-{OLD.id}-20260101-{number:06}-aaaaaa"
        ports.objects.write(target.uri(Folder.SMOKE, f"{session}/result.json"), b"{}")
        if isinstance(kept, SmokeRun):
            keep_run(ports, target, session, kept)
        else:
            ports.objects.write(target.uri(Folder.SMOKE, f"{session}/smoke.json"), kept)
    return ports, compare_run(ports, target, of, run)


@pytest.mark.parametrize(
    ("work_ms", "usual_ms", "limit", "ok"),
    [
        (150_000, 100_000, "2m30s", True),
        (150_001, 100_000, "2m30s", False),
        (10_300, 300, "10.3s", True),
        (10_301, 300, "10.3s", False),
        (0, 300, "10.3s", False),
    ],
)
def test_run_may_take_half_as_long_again_and_seconds_are_no_difference(
    tmp_path: Path, work_ms: int, usual_ms: int, limit: str, ok: bool
) -> None:
    _, (check,) = compared(tmp_path, (took(usual_ms),), took(work_ms))
    assert (check.name, check.ok) == ("run-time", ok)
    assert check.expected.startswith(f"at most {limit}, as release {OLD.id} took ")
    assert "smoke.max_run_percent" in check.hint


def test_longest_that_passed_lately_counts(tmp_path: Path) -> None:
    runs = (took(900_000), *[took(100_000)] * 5, took(200_000), *[took(100_000)] * 4)
    assert compared(tmp_path, runs, took(300_000))[1][0].ok
    assert not compared(tmp_path, runs, took(300_001))[1][0].ok


def test_percentage_is_configured(tmp_path: Path) -> None:
    assert compared(tmp_path, (took(100_000),), took(300_000), max_run_percent=300)[1][0].ok
    assert not compared(tmp_path, (took(100_000),), took(120_000), max_run_percent=110)[1][0].ok


@pytest.mark.parametrize(
    "earlier",
    [
        (),
        (took(1, "g4dn.xlarge"),),
        (took(1, size_bytes=1),),
        (took(0),),
        (b"not JSON",),
        (b'{"schema": "capctl.smoke-run/2"}',),
        (b'{"schema": "capctl.smoke-run/1"}',),
    ],
)
def test_nothing_is_compared_with_what_is_not_alike_and_that_is_told(
    tmp_path: Path, earlier: tuple[SmokeRun | bytes, ...]
) -> None:
    ports, checks = compared(tmp_path, earlier, took(999_999))
    assert checks == ()
    assert [line for line in ports.ui.lines if f"release {OLD.id} has no such smoke on g5.xlarge" in line]


@pytest.mark.parametrize("run", [took(999_999, ""), replace(took(999_999), video={})])
def test_run_of_which_too_little_is_known_is_like_no_other(tmp_path: Path, run: SmokeRun) -> None:
    assert compared(tmp_path, (replace(run, work_ms=1),), run)[1] == ()


def test_nothing_is_compared_where_that_is_not_asked_for_or_nothing_was_before(tmp_path: Path) -> None:
    assert compared(tmp_path, (took(1),), took(999_999), max_run_percent=0)[1] == ()
    assert compared(tmp_path, (took(1),), took(999_999), of=OLD.id)[1] == ()
    ports = FakePorts()
    assert compare_run(ports, make_target(tmp_path), deployed(NEW).id, took(1)) == ()
    assert ports.ui.lines == []


@pytest.mark.parametrize(
    ("timings", "work_ms"),
    [
        ({"models_ms": 569_000, "fetch_ms": 2_000, "analyse_ms": 900, "store_ms": 100, "total_ms": 572_000}, 1_000),
        ({"total_ms": 5_000}, 5_000),
        ({"models_ms": 5_000}, 0),
        ({"total_ms": "5"}, 0),
        ([], 0),
        (None, 0),
    ],
)
def test_reading_models_and_video_is_no_work(timings: Any, work_ms: int) -> None:
    run = smoke_run({"video": dict(VIDEO), "timings": timings}, "g5.xlarge")
    assert run == took(work_ms)


def slower(world: DeployWorld, total_ms: int) -> None:
    world.jobs.leaves = result_document(video=dict(VIDEO), timings={"total_ms": total_ms})


def test_deploy_takes_back_a_release_that_works_for_too_long_and_never_measures_by_it(tmp_path: Path) -> None:
    world = DeployWorld(tmp_path)
    slower(world, 60_000)
    world.deploy()
    before = world.active
    world.change_code()
    slower(world, 90_001)
    with pytest.raises(CapctlError, match="failed `run-time`") as failed:
        world.deploy()
    assert (failed.value.exit_code, world.active) == (7, before)
    kept = [uri for uri in world.ports.objects.stored if uri.endswith("/smoke.json")]
    assert len(kept) == 1
    slower(world, 90_000)
    world.deploy()
    assert world.active != before


def test_run_that_cannot_be_kept_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(error: CapctlError) -> None:
        def write(uri: str, data: bytes) -> None:
            raise error

        monkeypatch.setattr(ports.objects, "write", write)

    ports, target = FakePorts(), make_target(tmp_path)
    fail(CapctlError("aws-throttled", "There were too many calls"))
    keep_run(ports, target, "smoke-1", took(1))
    assert "There were too many calls" in ports.ui.lines[0]
    fail(Interrupted("interrupted", "The command was interrupted"))
    with pytest.raises(Interrupted):
        keep_run(ports, target, "smoke-1", took(1))
