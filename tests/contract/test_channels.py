"""What every `ports.Channels` does, and what becomes of a promotion when a call to AWS fails."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ReadTimeoutError
from botocore.httpsession import URLLib3Session

from lifecycle.adapters.aws.amis import Ec2Amis
from lifecycle.adapters.aws.channels import SsmChannels
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.clock import SystemClock
from lifecycle.domain.ami import AmiId, Tag
from lifecycle.domain.channel import Channel, ChannelEntry, Note
from lifecycle.domain.plan import Plan
from lifecycle.domain.waiting import Wait
from lifecycle.errors import CapctlError, TimedOut
from lifecycle.ports.channels import Channels
from lifecycle.ports.clock import Clock
from lifecycle.workflows.execute import execute
from lifecycle.workflows.promote_ami import plan_promote
from lifecycle.workflows.wait import wait_for
from tests.fakes.channels import FakeChannels
from tests.fakes.clock import FakeClock
from tests.fakes.deploys import ami_tags
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.targets import make_target

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
    first, second = (_register(session, {}) for _ in range(2))
    project = f"contract-{uuid.uuid4().hex[:8]}"
    return Account(channels=SsmChannels(session, project=project), clock=SystemClock(), amis=(first, second))


def _register(session: AwsSession, tags: dict[str, str]) -> AmiId:
    ec2 = session.client("ec2")
    ami_id = AmiId(ec2.register_image(Name=f"contract-{uuid.uuid4().hex[:12]}", RootDeviceName="/dev/xvda")["ImageId"])
    if tags:
        ec2.create_tags(Resources=[ami_id], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    return ami_id


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
        return _answer(request, 400, message) if b"aws:ec2:image" in (request.body or b"") else None

    ssm.meta.events.register("before-send.ssm.PutParameter", refuse)
    channels = SsmChannels(emulated_session, project=project)
    assert channels.write(STABLE, NOBODY, Note(by="ada"), is_first=True) == 1
    found = channels.read(STABLE)
    assert found is not None
    assert found.ami_id == NOBODY


class _Promotion:
    """A project on the emulator with AMIs on which smoke jobs have passed."""

    def __init__(self, session: AwsSession, folder: Path, *, amis: int) -> None:
        project = f"promotion-{uuid.uuid4().hex[:8]}"
        tags = {**ami_tags("smoke-passed"), Tag.PROJECT: project}
        self.amis = [_register(session, tags) for _ in range(amis)]
        self.ports, self.target = _EmulatedPorts(session, project), replace(make_target(folder), project=project)

    def plan(self, ami_id: AmiId) -> Plan:
        return plan_promote(self.ports, self.target, RUN, ami=ami_id, channel=STABLE)

    def promote(self, ami_id: AmiId) -> None:
        execute(self.plan(ami_id), self.ports, RUN)

    def history(self) -> list[AmiId]:
        return [entry.ami_id for entry in self.ports.channels.history(STABLE)]

    def statuses(self, *ids: AmiId) -> list[str]:
        return [str(self.ports.amis.get(ami_id).status) for ami_id in ids]


class _EmulatedPorts(FakePorts):
    """The emulator's AMIs and channels; the rest is fake."""

    def __init__(self, session: AwsSession, project: str) -> None:
        super().__init__()
        self.amis = Ec2Amis(session)  # type: ignore[assignment]
        self.channels = SsmChannels(session, project=project)  # type: ignore[assignment]
        self.clock = SystemClock()  # type: ignore[assignment]


def _answer(request: AWSPreparedRequest, status: int, body: bytes) -> AWSResponse:
    class Raw:
        def stream(self, **_: Any) -> Iterator[bytes]:
            yield body

    return AWSResponse(request.url, status, {"content-type": "application/x-amz-json-1.1"}, Raw())


def _throttled(request: AWSPreparedRequest) -> AWSResponse:
    json, xml = (
        b'{"__type": "ThrottlingException", "message": "Rate exceeded"}',
        b"<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Rate exceeded</Message></Error></Errors></Response>",
    )
    return _answer(request, 400, json if b"x-amz-json" in bytes(request.headers.get("Content-Type", b"")) else xml)


def _broken(request: AWSPreparedRequest) -> AWSResponse:
    return _answer(request, 500, b"")


def _lost(request: AWSPreparedRequest) -> AWSResponse:
    URLLib3Session().send(request)
    raise ReadTimeoutError(endpoint_url=request.url)


@contextmanager
def _failing(
    session: AwsSession, how: Callable[[AWSPreparedRequest], AWSResponse], at: int | None
) -> Iterator[list[str]]:
    """Let the request with number `at` fail so, once; yields the names of all that were sent."""
    sent: list[str] = []

    def before_send(request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse | None:
        sent.append(event_name.rpartition(".")[2])
        return how(request) if len(sent) - 1 == at else None

    clients = [session.client(service) for service in ("ec2", "ssm")]
    for client in clients:
        client.meta.events.register_first("before-send", before_send)
    try:
        yield sent
    finally:
        for client in clients:
            client.meta.events.unregister("before-send", before_send)


@pytest.mark.rehearsal
@pytest.mark.parametrize("how", [_throttled, _broken, _lost])
def test_any_call_of_a_promotion_may_fail_once(
    how: Callable[[AWSPreparedRequest], AWSResponse],
    emulated_session: AwsSession,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    # One look after the publication, so that the calls are the same each time.
    monkeypatch.setattr(
        "lifecycle.workflows.move_channel._PUBLISHED", Wait(shortest_s=0.12, longest_s=0.12, timeout_s=5)
    )
    world = _Promotion(emulated_session, tmp_path, amis=2)
    old, new = world.amis

    def promote(ami_id: AmiId, at: int | None) -> list[str]:
        with _failing(emulated_session, how, at) as sent:
            world.promote(ami_id)
        return sent

    promote(old, None)
    calls = promote(new, None)
    assert {"DescribeImages", "GetParametersByPath", "GetParameterHistory", "PutParameter", "CreateTags"} == set(calls)
    for at in range(len(calls)):
        old, new = new, old
        promote(new, at)
        history = world.history()
        # A lost answer to the write makes it be written twice.
        assert history[:2] == [new, old] or (how is _lost and history[:3] == [new, new, old]), at
        assert world.statuses(old, new) == ["superseded", "promoted"], at


@pytest.mark.rehearsal
def test_of_two_promotions_at_once_none_is_overwritten_in_silence(emulated_session: AwsSession, tmp_path: Path) -> None:
    world = _Promotion(emulated_session, tmp_path, amis=3)
    first, *both = world.amis
    world.promote(first)
    plans = [world.plan(ami_id) for ami_id in both]

    def told(plan: Plan) -> str:
        try:
            execute(plan, world.ports, RUN)
        except CapctlError as error:
            return error.message if error.code == "channel-moved" else repr(error)
        return ""

    with ThreadPoolExecutor() as threads:
        messages = list(threads.map(told, plans))
    last, overwritten, _ = history = world.history()
    assert sorted(history) == sorted(world.amis)
    loud = dict(zip(both, messages, strict=True))
    assert f"to `{overwritten}` at the same time; this run wrote `{last}`" in loud[last]
    assert f"it names `{last}` now" in loud[last]
    world.promote(last)
    assert world.statuses(first, last) == ["superseded", "promoted"]
    assert world.statuses(overwritten)[0] in {"smoke-passed", "superseded"}
