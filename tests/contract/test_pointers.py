"""What every `ports.Pointers` does."""

from dataclasses import replace

import pytest

from lifecycle.adapters.aws.pointers import DynamoPointers, _pointer
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.release import Pointer
from lifecycle.errors import CapctlError
from lifecycle.ports.pointers import Pointers
from tests.contract.table_parts import make_table
from tests.fakes.pointers import FakePointers

FIRST = Pointer(
    version=1,
    release_id="0123456789ab",
    previous_release_id="",
    job_queue_arn="arn:queue",
    job_definition_arn="arn:definition:1",
    moved_at="2026-01-01T00:00:00+00:00",
    moved_by="tester",
    reason="",
    promoted=("0123456789ab",),
    ami_id="ami-0123456789abcdef0",
    move="deploy",
    run_id="20260101-000000-abcdef",
)
SECOND = replace(
    FIRST,
    version=2,
    release_id="ba9876543210",
    job_queue_arn="arn:other-queue",
    previous_release_id=FIRST.release_id,
    previous_ami_id=FIRST.ami_id,
    previous_job_queue_arn=FIRST.job_queue_arn,
    previous_job_definition_arn=FIRST.job_definition_arn,
    promoted=("0123456789ab", "ba9876543210"),
)


@pytest.fixture(params=["fake", pytest.param("emulator", marks=pytest.mark.rehearsal)])
def pointers(request: pytest.FixtureRequest) -> Pointers:
    if request.param == "fake":
        return FakePointers()
    session: AwsSession = request.getfixturevalue("emulated_session")
    return DynamoPointers(session, table=make_table(session))


def test_before_the_first_promotion_there_is_none(pointers: Pointers) -> None:
    assert pointers.read() is None


def test_moved_pointer_reads_back_whole(pointers: Pointers) -> None:
    pointers.move(FIRST, expected_version=0)
    assert pointers.read() == FIRST


def test_move_from_the_version_that_was_read_succeeds(pointers: Pointers) -> None:
    pointers.move(FIRST, expected_version=0)
    pointers.move(SECOND, expected_version=1)
    assert pointers.read() == SECOND


def test_item_that_an_earlier_version_wrote_stays_readable() -> None:
    written = {
        "id": {"S": "pointer"},
        "version": {"N": "1"},
        "release_id": {"S": "0123456789ab"},
        "previous_release_id": {"S": ""},
        "job_queue_arn": {"S": "arn:queue"},
        "job_definition_arn": {"S": "arn:definition:1"},
        "moved_at": {"S": "2026-01-01T00:00:00+00:00"},
        "moved_by": {"S": "tester"},
        "reason": {"S": ""},
    }
    assert _pointer(written) == replace(FIRST, promoted=(), ami_id="", move="", run_id="")
    assert _pointer(written).previous_place is None


def test_pointer_that_does_not_say_what_was_promoted_reads_back_whole(pointers: Pointers) -> None:
    pointers.move(replace(FIRST, promoted=()), expected_version=0)
    assert pointers.read() == replace(FIRST, promoted=())


@pytest.mark.parametrize("expected_version", [0, 2])
def test_move_from_another_version_fails_and_changes_nothing(pointers: Pointers, expected_version: int) -> None:
    pointers.move(FIRST, expected_version=0)
    with pytest.raises(CapctlError) as failed:
        pointers.move(replace(FIRST, version=9), expected_version=expected_version)
    assert failed.value.code == "pointer-moved"
    assert pointers.read() == FIRST


def test_move_that_lost_says_who_moved_where_when_and_why(pointers: Pointers) -> None:
    pointers.move(FIRST, expected_version=0)
    found = replace(SECOND, moved_by="grace", move="rollback", reason="tracks are lost")
    pointers.move(found, expected_version=1)
    with pytest.raises(CapctlError) as failed:
        pointers.move(replace(SECOND, version=2), expected_version=1)
    told = f"grace rolled back to release {SECOND.release_id} at {SECOND.moved_at}: tracks are lost"
    assert failed.value.message.endswith(told)
    assert "decide again" in failed.value.hint


def test_move_from_a_version_that_never_was_fails(pointers: Pointers) -> None:
    with pytest.raises(CapctlError) as failed:
        pointers.move(replace(FIRST, version=2), expected_version=1)
    assert failed.value.code == "pointer-moved"
    assert pointers.read() is None


def test_past_pointers_are_kept_newest_first(pointers: Pointers) -> None:
    pointers.move(FIRST, expected_version=0)
    pointers.move(SECOND, expected_version=1)
    assert pointers.past({1, 2}) == (SECOND, FIRST)
    assert pointers.past({1, 7}) == (FIRST,)
    assert pointers.past(()) == ()


def test_pointer_knows_where_jobs_went_before(pointers: Pointers) -> None:
    pointers.move(FIRST, expected_version=0)
    pointers.move(SECOND, expected_version=1)
    found = pointers.read()
    assert found
    assert (found.place.job_queue_arn, found.previous_place) == ("arn:other-queue", FIRST.place)


def test_no_move_leads_to_a_retired_release(pointers: Pointers) -> None:
    pointers.move(FIRST, expected_version=0)
    pointers.retire(SECOND.release_id)
    with pytest.raises(CapctlError) as failed:
        pointers.move(SECOND, expected_version=1)
    assert failed.value.code == "release-retired"
    assert (pointers.read(), pointers.past({2})) == (FIRST, ())
    pointers.retire(SECOND.release_id)
    pointers.readmit(SECOND.release_id)
    pointers.readmit(SECOND.release_id)
    pointers.move(SECOND, expected_version=1)
    assert pointers.read() == SECOND


def test_move_that_lost_says_so_even_of_a_retired_release(pointers: Pointers) -> None:
    pointers.move(FIRST, expected_version=0)
    pointers.retire(SECOND.release_id)
    with pytest.raises(CapctlError) as failed:
        pointers.move(SECOND, expected_version=7)
    assert failed.value.code == "pointer-moved"


def test_release_that_the_pointer_names_is_not_retired(pointers: Pointers) -> None:
    pointers.retire("before-the-first")
    pointers.move(FIRST, expected_version=0)
    pointers.move(SECOND, expected_version=1)
    for release_id in (FIRST.release_id, SECOND.release_id):
        with pytest.raises(CapctlError) as failed:
            pointers.retire(release_id)
        assert failed.value.code == "release-active"
    pointers.move(replace(SECOND, version=3), expected_version=2)


@pytest.mark.rehearsal
def test_missing_table_says_bootstrap(emulated_session: AwsSession) -> None:
    pointers = DynamoPointers(emulated_session, table="nowhere")
    for act in (
        pointers.read,
        lambda: pointers.move(FIRST, expected_version=0),
        lambda: pointers.past({1}),
        lambda: pointers.retire("0123456789ab"),
        lambda: pointers.readmit("0123456789ab"),
    ):
        with pytest.raises(CapctlError) as failed:
            act()
        assert failed.value.code == "base-missing"
        assert "capctl bootstrap" in failed.value.hint
