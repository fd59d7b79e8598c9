"""Deprecate: an advice from a minute on, which stops nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from lifecycle.domain.ami import AmiRecord
from lifecycle.errors import CapctlError, ExitCode
from lifecycle.workflows.deprecate_ami import asked_moment, plan_deprecate
from lifecycle.workflows.execute import execute
from tests.fakes.bakes import Scene
from tests.fakes.clock import FakeClock
from tests.fakes.runs import RUN

CLOCK = FakeClock(datetime(2026, 1, 1, 12, 0, 40, tzinfo=UTC))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
def ami(scene: Scene) -> AmiRecord:
    return scene.bake()


@pytest.mark.parametrize(
    ("options", "moment"),
    [
        ({"at": "2027-03-31"}, "2027-03-31T00:00:00+00:00"),
        ({"at": "2027-03-31T18:00:29Z"}, "2027-03-31T18:00:00+00:00"),
        ({"at": "2027-03-31T18:00:30+02:00"}, "2027-03-31T16:01:00+00:00"),
        ({"within": "36h"}, "2026-01-03T00:01:00+00:00"),
        ({"within": "30d"}, "2026-01-31T12:01:00+00:00"),
        ({"within": "2w"}, "2026-01-15T12:01:00+00:00"),
    ],
)
def test_time_is_a_full_minute_in_utc(options: dict[str, str], moment: str) -> None:
    asked = asked_moment(CLOCK, **{"at": None, "within": None, **options}, undo=False)
    assert asked is not None
    assert asked.isoformat() == moment


@pytest.mark.parametrize(
    ("at", "within", "undo", "code"),
    [
        (None, None, False, "time-missing"),
        ("2027-01-01", "30d", False, "usage"),
        (None, "30d", True, "usage"),
        ("soon", None, False, "time-invalid"),
        (None, "30", False, "time-invalid"),
        (None, "1m", False, "time-invalid"),
        (None, "0d", False, "time-invalid"),
        (None, "99999w", False, "time-invalid"),
        ("2026-01-01", None, False, "time-invalid"),
        ("2026-01-01T12:00:29", None, False, "time-invalid"),
        ("2036-01-02", None, False, "time-invalid"),
        ("0001-01-01T00:00:00+14:00", None, False, "time-invalid"),
        ("9999-12-31T23:59:59", None, False, "time-invalid"),
    ],
)
def test_time_that_ec2_would_refuse_is_a_usage_error(at: str | None, within: str | None, undo: bool, code: str) -> None:
    with pytest.raises(CapctlError) as failed:
        asked_moment(CLOCK, at=at, within=within, undo=undo)
    assert (failed.value.code, failed.value.exit_code) == (code, ExitCode.USAGE)


def test_deprecation_is_set_once_and_taken_back_once(scene: Scene, ami: AmiRecord) -> None:
    at = datetime(2027, 3, 31, 18, 0, tzinfo=UTC)
    plan = plan_deprecate(scene.ports, scene.target, ami.id, at)
    assert "nothing stops working" in plan.steps[0].describe()
    execute(plan, scene.ports, RUN)
    assert scene.amis.get(ami.id).deprecated_at == "2027-03-31T18:00:00.000Z"
    assert scene.amis.get(ami.id).is_proven
    assert plan_deprecate(scene.ports, scene.target, ami.id, at).steps == ()
    execute(plan_deprecate(scene.ports, scene.target, ami.id, None), scene.ports, RUN)
    assert scene.amis.get(ami.id).deprecated_at == ""
    assert plan_deprecate(scene.ports, scene.target, ami.id, None).because == "it is not deprecated"
