"""What becomes of a promotion when a call to AWS fails, or another promotion meets it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
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
from lifecycle.domain.ami import AmiId
from lifecycle.domain.channel import Channel
from lifecycle.domain.plan import Plan
from lifecycle.domain.tags import Tag
from lifecycle.domain.waiting import Wait
from lifecycle.errors import CapctlError
from lifecycle.workflows.execute import execute
from lifecycle.workflows.promote_ami import plan_promote
from tests.contract.aws_answers import answer, register
from tests.fakes.deploys import ami_tags
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.targets import make_target
from tests.rehearsal.aws_faults import Calls, early_reads

pytestmark = pytest.mark.rehearsal

STABLE = Channel("stable")

Answer = Callable[[AWSPreparedRequest], AWSResponse]


class _Promotion:
    """A project on the emulator with AMIs on which smoke jobs have passed."""

    def __init__(self, session: AwsSession, folder: Path, *, amis: int) -> None:
        project = f"promotion-{uuid.uuid4().hex[:8]}"
        tags = {**ami_tags("smoke-passed"), Tag.PROJECT: project}
        self.amis = [register(session, tags) for _ in range(amis)]
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


def _throttled(request: AWSPreparedRequest) -> AWSResponse:
    json, xml = (
        b'{"__type": "ThrottlingException", "message": "Rate exceeded"}',
        b"<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Rate exceeded</Message></Error></Errors></Response>",
    )
    return answer(request, 400, json if b"x-amz-json" in bytes(request.headers.get("Content-Type", b"")) else xml)


def _broken(request: AWSPreparedRequest) -> AWSResponse:
    return answer(request, 500, b"")


def _lost(request: AWSPreparedRequest) -> AWSResponse:
    URLLib3Session().send(request)
    raise ReadTimeoutError(endpoint_url=request.url)


@contextmanager
def _failing(session: AwsSession, answers: tuple[Answer, ...], at: int | None) -> Iterator[list[str]]:
    """Let the request with number `at`, and those that repeat it, be answered so; yields the names of all that were sent."""
    sent: list[str] = []

    def before_send(request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse | None:
        sent.append(event_name.rpartition(".")[2])
        place = -1 if at is None else len(sent) - 1 - at
        return answers[place](request) if 0 <= place < len(answers) else None

    clients = [session.client(service) for service in ("ec2", "ssm")]
    for client in clients:
        client.meta.events.register_first("before-send", before_send)
    try:
        yield sent
    finally:
        for client in clients:
            client.meta.events.unregister("before-send", before_send)


@pytest.mark.parametrize("answers", [(_throttled, _broken), (_lost,)], ids=["refused", "lost"])
def test_any_call_of_a_promotion_may_fail_once(
    answers: tuple[Answer, ...],
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
        with _failing(emulated_session, answers, at) as sent:
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
        assert history[:2] == [new, old] or (_lost in answers and history[:3] == [new, new, old]), at
        assert world.statuses(old, new) == ["superseded", "promoted"], at


def test_reads_that_do_not_know_of_the_last_change_make_no_promotion_wrong(
    emulated_session: AwsSession, tmp_path: Path
) -> None:
    world = _Promotion(emulated_session, tmp_path, amis=2)
    old, new = world.amis
    world.promote(old)
    calls = Calls(*(emulated_session.client(service) for service in ("ec2", "ssm")))
    for early in early_reads(5):
        with calls.watched(early=early):
            world.promote(new)
        assert world.history()[:2] == [new, old], early
        assert world.statuses(old, new) == ["superseded", "promoted"], early
        old, new = new, old


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
