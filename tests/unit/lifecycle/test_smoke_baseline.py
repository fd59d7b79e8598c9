"""How long a smoke job may run, beside the release before."""

import json
from pathlib import Path
from typing import Any

import pytest

from lifecycle.domain.check import Check
from lifecycle.workflows.smoke_baseline import check_run_time
from tests.fakes.pointers import pointer_at
from tests.fakes.ports import FakePorts
from tests.fakes.releases import make_release, result_document
from tests.fakes.stack import OUTPUTS, deployed
from tests.fakes.targets import make_target

OLD, NEW = make_release(1), make_release(2)
VIDEO = {"codec": "h264", "size_bytes": 10_300}


def result(total_ms: int, **changes: Any) -> dict[str, Any]:
    return result_document(**({"video": VIDEO, "timings": {"total_ms": total_ms}} | changes))


def checked(
    folder: Path,
    earlier: dict[str, Any] | bytes | None,
    now: dict[str, Any],
    *,
    percent: int | None = 150,
    of: str = NEW.id,
) -> tuple[Check, ...]:
    ports = FakePorts()
    ports.pointers.move(pointer_at(OLD), expected_version=0)
    for run, stored in (("20260101-000000-aaaaaa", result(1)), ("20260102-000000-aaaaaa", earlier)):
        data = stored if isinstance(stored, bytes) else json.dumps(stored).encode()
        if earlier is not None:
            ports.objects.write(f"s3://{OUTPUTS.bucket}/smoke/smoke-{OLD.id}-{run}/result.json", data)
    return check_run_time(ports, make_target(folder, smoke={"max_run_percent": percent}), of, now)


@pytest.mark.parametrize(("took_ms", "ok"), [(100_000, True), (160_000, True), (160_001, False), (0, False)])
def test_run_may_take_the_percentage_of_the_latest_before_and_ten_seconds_more(
    tmp_path: Path, took_ms: int, ok: bool
) -> None:
    (check,) = checked(tmp_path, result(100_000), result(took_ms))
    assert (check.name, check.ok) == ("run-time", ok)
    assert check.expected == f"at most 2m40s: 150 % of 1m40s of release {OLD.id}, and 10 s"


@pytest.mark.parametrize(
    ("earlier", "options"),
    [
        (None, {}),
        (result(100_000), {"percent": None}),
        (result(100_000, video=VIDEO | {"size_bytes": 1}), {}),
        (result(100_000, timings={}), {}),
        (b"not JSON", {}),
        (result(100_000), {"of": OLD.id}),
    ],
)
def test_nothing_is_compared_where_there_is_nothing_alike(
    tmp_path: Path, earlier: dict[str, Any] | bytes | None, options: dict[str, Any]
) -> None:
    assert checked(tmp_path, earlier, result(999_999), **options) == ()


def test_nothing_is_compared_before_the_first_promotion(tmp_path: Path) -> None:
    target = make_target(tmp_path, smoke={"max_run_percent": 150})
    assert check_run_time(FakePorts(), target, deployed(NEW).id, result(1)) == ()
