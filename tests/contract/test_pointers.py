"""What every `ports.Pointers` does."""

import uuid
from dataclasses import replace

import pytest

from lifecycle.adapters.aws.pointers import DynamoPointers, _pointer
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.release import Pointer
from lifecycle.errors import CapctlError
from lifecycle.ports.pointers import Pointers
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
)


@pytest.fixture(params=["fake", pytest.param("emulator", marks=pytest.mark.rehearsal)])
def pointers(request: pytest.FixtureRequest) -> Pointers:
    if request.param == "fake":
        return FakePointers()
    session: AwsSession = request.getfixturevalue("emulated_session")
    table = f"pointers-{uuid.uuid4().hex[:8]}"
    session.client("dynamodb").create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    return DynamoPointers(session, table=table)


def test_before_the_first_promotion_there_is_none(pointers: Pointers) -> None:
    assert pointers.read() is None


def test_moved_pointer_reads_back_whole(pointers: Pointers) -> None:
    pointers.move(FIRST, expected_version=0)
    assert pointers.read() == FIRST


def test_move_from_the_version_that_was_read_succeeds(pointers: Pointers) -> None:
    pointers.move(FIRST, expected_version=0)
    second = replace(
        FIRST,
        version=2,
        release_id="ba9876543210",
        previous_release_id=FIRST.release_id,
        promoted=("0123456789ab", "ba9876543210"),
    )
    pointers.move(second, expected_version=1)
    assert pointers.read() == second


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
    assert _pointer(written) == replace(FIRST, promoted=())


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


def test_move_from_a_version_that_never_was_fails(pointers: Pointers) -> None:
    with pytest.raises(CapctlError) as failed:
        pointers.move(replace(FIRST, version=2), expected_version=1)
    assert failed.value.code == "pointer-moved"
    assert pointers.read() is None


@pytest.mark.rehearsal
def test_missing_table_says_bootstrap(emulated_session: AwsSession) -> None:
    pointers = DynamoPointers(emulated_session, table="nowhere")
    for act in (pointers.read, lambda: pointers.move(FIRST, expected_version=0)):
        with pytest.raises(CapctlError) as failed:
            act()
        assert failed.value.code == "base-missing"
        assert "capctl bootstrap" in failed.value.hint
