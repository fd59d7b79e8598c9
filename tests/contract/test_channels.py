"""What every `ports.Channels` does."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from lifecycle.adapters.aws.ami_users import AwsAmiUsers
from lifecycle.adapters.aws.channels import SsmChannels
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.clock import SystemClock
from lifecycle.domain.ami import AmiId
from lifecycle.domain.channel import Channel, ChannelEntry, Note
from lifecycle.domain.waiting import Wait
from lifecycle.errors import CapctlError, TimedOut
from lifecycle.ports.channels import Channels
from lifecycle.ports.clock import Clock
from lifecycle.ports.wait import wait_for
from tests.contract.aws_answers import answer, register
from tests.fakes.channels import FakeChannels
from tests.fakes.clock import FakeClock

STABLE, BETA = Channel("stable"), Channel("beta")
NOBODY = AmiId("ami-0123456789abcdef0")
SOON = Wait(shortest_s=0.02, longest_s=0.1, timeout_s=5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A project without channels, and two AMIs."""

    channels: Channels
    clock: Clock
    amis: tuple[AmiId, AmiId]

    def write(self, channel: Channel, ami_id: AmiId, note: Note, *, is_first: bool = False) -> ChannelEntry:
        """The new version, once it can be read."""
        version = self.channels.write(channel, ami_id, note, is_first=is_first)
        assert version is not None
        found = wait_for(
            lambda: self.channels.read(channel),
            lambda entry: entry is not None and entry.version >= version,
            SOON,
            self.clock,
            timed_out=lambda _: TimedOut("late", "The version was not published"),
        )
        assert found
        return found


@pytest.fixture(params=["fake", pytest.param("emulator", marks=pytest.mark.rehearsal)])
def account(request: pytest.FixtureRequest) -> Account:
    if request.param == "fake":
        channels = FakeChannels()
        channels.lag = 1
        channels.unseen.add(NOBODY)
        ids = (AmiId("ami-00000000000000001"), AmiId("ami-00000000000000002"))
        return Account(channels=channels, clock=FakeClock(), amis=ids)
    session: AwsSession = request.getfixturevalue("emulated_session")
    first, second = (register(session, {}) for _ in range(2))
    project = f"contract-{uuid.uuid4().hex[:8]}"
    return Account(channels=SsmChannels(session, project=project), clock=SystemClock(), amis=(first, second))


def test_before_the_first_move_there_is_nothing(account: Account) -> None:
    assert account.channels.read(STABLE) is None
    assert account.channels.history(STABLE) == ()
    assert account.channels.list() == ()


def test_version_reads_back_whole_once_it_is_published(account: Account) -> None:
    note = Note(by="ada", reason='says "why" — twice', is_rollback=True)
    entry = account.write(STABLE, account.amis[0], note, is_first=True)
    assert (entry.channel, entry.version, entry.ami_id, entry.note) == (STABLE, 1, account.amis[0], note)
    assert entry.since.endswith("+00:00")
    assert account.channels.list() == (entry,)


@pytest.mark.rehearsal
def test_scan_of_the_account_names_a_channel_as_the_channel_names_itself(emulated_session: AwsSession) -> None:
    channels, ami_id = (
        SsmChannels(emulated_session, project=f"scan-{uuid.uuid4().hex[:8]}"),
        register(emulated_session, {}),
    )
    account = Account(channels=channels, clock=SystemClock(), amis=(ami_id, ami_id))
    account.write(STABLE, ami_id, Note(by="ada"), is_first=True)
    report = AwsAmiUsers(emulated_session).scan(template_versions=1)
    told = [use.name for use in report.uses if (use.kind, use.of) == ("parameter", ami_id)]
    assert told == [channels.parameter(STABLE)]


def test_history_is_newest_first_and_keeps_every_note(account: Account) -> None:
    for number in range(12):
        account.write(STABLE, account.amis[number % 2], Note(by="ada", reason=f"reason {number}"))
    history = account.channels.history(STABLE)
    assert [entry.version for entry in history] == list(range(12, 0, -1))
    assert [entry.note.reason for entry in history] == [f"reason {number}" for number in range(11, -1, -1)]
    assert history[0] == account.channels.read(STABLE)


def test_list_names_what_each_channel_names_now(account: Account) -> None:
    first, second = account.amis
    account.write(STABLE, first, Note(by="ada"))
    account.write(BETA, first, Note(by="ada"))
    account.write(STABLE, second, Note(by="ada"))
    assert [(entry.channel, entry.ami_id) for entry in account.channels.list()] == [(BETA, first), (STABLE, second)]


def test_first_version_is_written_once(account: Account) -> None:
    account.write(STABLE, account.amis[0], Note(by="ada"), is_first=True)
    assert account.channels.write(STABLE, account.amis[1], Note(by="bob"), is_first=True) is None
    assert [entry.ami_id for entry in account.channels.history(STABLE)] == [account.amis[0]]


def test_version_that_names_no_ami_has_a_number_and_is_never_published(account: Account) -> None:
    account.write(STABLE, account.amis[0], Note(by="ada"))
    assert account.channels.write(STABLE, NOBODY, Note(by="ada"), is_first=False) == 2
    with pytest.raises(TimedOut):
        wait_for(
            lambda: account.channels.history(STABLE),
            lambda history: len(history) > 1,
            Wait(shortest_s=0.05, longest_s=0.05, timeout_s=0.3),
            account.clock,
            timed_out=lambda _: TimedOut("late", "Nothing came"),
        )


def _code(act: Callable[[], object]) -> str:
    with pytest.raises(CapctlError) as failed:
        act()
    return failed.value.code


@pytest.mark.rehearsal
def test_hundredth_version_whose_oldest_has_a_label_is_told(emulated_session: AwsSession) -> None:
    project = f"full-{uuid.uuid4().hex[:8]}"
    ssm, name = emulated_session.client("ssm"), f"/capctl/{project}/ami/stable"
    for number in range(100):
        ssm.put_parameter(Name=name, Value=f"ami-{number:017x}", Type="String", Overwrite=True)
    channels = SsmChannels(emulated_session, project=project)
    assert [entry.version for entry in channels.history(STABLE)] == list(range(100, 0, -1))
    ssm.label_parameter_version(Name=name, ParameterVersion=1, Labels=["keep"])
    assert _code(lambda: channels.write(STABLE, NOBODY, Note(by="ada"), is_first=False)) == "channel-full"


@pytest.mark.rehearsal
def test_parameter_of_another_tool_names_the_user_of_aws_and_its_text(emulated_session: AwsSession) -> None:
    project, ssm = f"foreign-{uuid.uuid4().hex[:8]}", emulated_session.client("ssm")
    folder = f"/capctl/{project}/ami"
    ssm.put_parameter(Name=f"{folder}/stable", Value=NOBODY, Type="String", Description="by hand")
    ssm.put_parameter(Name=f"{folder}/NOT-ONE", Value="x", Type="String")
    (entry,) = SsmChannels(emulated_session, project=project).list()
    assert (entry.channel, entry.note) == (STABLE, Note(by="rehearsal", reason="by hand"))


@pytest.mark.rehearsal
def test_region_without_the_data_type_gets_text(emulated_session: AwsSession) -> None:
    ssm, project = emulated_session.client("ssm"), f"text-{uuid.uuid4().hex[:8]}"

    def refuse(request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        message = (
            b'{"__type": "ValidationException", "message": "The following data type is not supported: aws:ec2:image"}'
        )
        return answer(request, 400, message) if b"aws:ec2:image" in (request.body or b"") else None

    ssm.meta.events.register("before-send.ssm.PutParameter", refuse)
    channels = SsmChannels(emulated_session, project=project)
    assert channels.write(STABLE, NOBODY, Note(by="ada"), is_first=True) == 1
    found = channels.read(STABLE)
    assert found is not None
    assert found.ami_id == NOBODY
