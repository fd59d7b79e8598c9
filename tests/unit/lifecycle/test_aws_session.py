"""Credentials and registry tokens, as programs outside get them."""

import base64
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ClientError, ReadTimeoutError

from lifecycle.adapters.aws.registry_login import RegistryLogin
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.errors import Denied, Interrupted, UsageError
from tests.contract.aws_answers import answer
from tests.fakes.clock import FakeClock
from tests.fakes.targets import make_target

_HOURS_12_S = 12 * 3600.0


def test_frozen_credentials_are_those_of_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    found = AwsSession(make_target(tmp_path)).frozen_credentials()
    assert (found.access_key, found.secret_key, found.token) == ("AKIAIOSFODNN7EXAMPLE", "secret", "token")


def test_missing_credentials_are_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(Denied) as failed:
        AwsSession(make_target(tmp_path)).frozen_credentials()
    assert failed.value.code == "credentials-missing"


@pytest.mark.parametrize(("of_target", "named"), [("of-target", "capctl.yaml"), (None, "AWS_PROFILE")])
def test_profile_that_does_not_exist_is_named_with_the_place_that_names_it(
    of_target: str | None, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "of-variable")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(UsageError) as failed:
        AwsSession(replace(make_target(tmp_path), profile=of_target)).client("ec2")
    assert f"`{of_target or 'of-variable'}`" in failed.value.message
    assert named in failed.value.hint


def test_signal_in_the_middle_of_a_request_ends_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[object] = []

    def interrupted(*sent: object, **_: object) -> None:
        requests.append(sent)
        raise Interrupted("interrupted", "The command was interrupted by SIGTERM")

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr("urllib3.connectionpool.HTTPConnectionPool.urlopen", interrupted)
    with pytest.raises(Interrupted):
        AwsSession(make_target(tmp_path, endpoint_url="http://127.0.0.1:1")).client("ec2")
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("status", "requests"),
    [
        # Whether a job came of it nobody knows: none of these may be asked again.
        (None, 1),
        (500, 1),
        (503, 1),
        # Refused, so that there is no job.
        (429, 6),
    ],
)
def test_job_is_not_submitted_again_when_the_answer_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int | None, requests: int
) -> None:
    asked: list[object] = []

    def answered(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        asked.append(request)
        if status is None:
            raise ReadTimeoutError(endpoint_url=request.url)
        return answer(request, status, b'{"__type": "TooManyRequestsException", "message": "no"}')

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    session = AwsSession(make_target(tmp_path, endpoint_url="http://127.0.0.1:1"))
    client = session._client("batch")
    client.meta.events.register("before-send.batch.SubmitJob", answered)
    with pytest.raises((ReadTimeoutError, ClientError)):
        client.submit_job(jobName="job", jobQueue="queue", jobDefinition="definition:1")
    assert len(asked) == requests


class Sts:
    """Answers with one account; counts the questions."""

    def __init__(self, account: str) -> None:
        self._account = account
        self.asked = 0

    def get_caller_identity(self) -> dict[str, str]:
        self.asked += 1
        return {"Account": self._account}


@pytest.fixture
def sts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sts:
    (tmp_path / ".capctl").mkdir()
    made = Sts("123456789012")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    client = AwsSession._client
    monkeypatch.setattr(
        AwsSession, "_client", lambda self, name, region=None: made if name == "sts" else client(self, name, region)
    )
    return made


def test_account_of_an_access_key_is_asked_for_once(tmp_path: Path, sts: Sts, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        AwsSession(make_target(tmp_path)).client("ec2")
    assert sts.asked == 1
    assert "AKIA" not in next((tmp_path / ".capctl").glob("account-*")).read_text()
    AwsSession(make_target(tmp_path, endpoint_url="http://127.0.0.1:1")).client("ec2")
    assert sts.asked == 2
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAI44QH8DHBEXAMPLE")
    AwsSession(make_target(tmp_path)).client("ec2")
    assert sts.asked == 3


def test_known_account_that_is_not_the_target_s_is_refused_again(tmp_path: Path, sts: Sts) -> None:
    other = replace(make_target(tmp_path), account="210987654321")
    for _ in range(2):
        with pytest.raises(Denied) as failed:
            AwsSession(other).client("ec2")
        assert failed.value.code == "account-mismatch"
    assert sts.asked == 1


def test_folder_of_records_is_not_made_for_the_account(tmp_path: Path, sts: Sts) -> None:
    (tmp_path / ".capctl").rmdir()
    AwsSession(make_target(tmp_path)).client("ec2")
    assert sts.asked == 1
    assert not (tmp_path / ".capctl").exists()


@pytest.mark.parametrize("text", ["", "[]", '{"key": 1}', "\x00"])
def test_record_of_the_account_that_cannot_be_read_costs_a_request(tmp_path: Path, sts: Sts, text: str) -> None:
    AwsSession(make_target(tmp_path)).client("ec2")
    next((tmp_path / ".capctl").glob("account-*")).write_text(text)
    AwsSession(make_target(tmp_path)).client("ec2")
    assert sts.asked == 2


class Ecr:
    """ECR that gives a new token for 12 hours each time; also the session that leads to it."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.given = 0

    def client(self, _: str) -> "Ecr":
        return self

    def get_authorization_token(self) -> dict[str, Any]:
        self.given += 1
        token = base64.b64encode(f"AWS:{self.given}".encode()).decode()
        expires = self._clock.now() + timedelta(seconds=_HOURS_12_S)
        return {"authorizationData": [{"authorizationToken": token, "expiresAt": expires}]}


def test_registry_token_is_kept_until_shortly_before_it_expires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    clock = FakeClock()
    ecr = Ecr(clock)
    login = RegistryLogin(make_target(tmp_path), ecr, clock)  # type: ignore[arg-type]
    first = login.engine_credentials()
    clock.sleep(_HOURS_12_S - 601)
    assert login.engine_credentials() == first == {"username": "AWS", "password": "1"}
    clock.sleep(2)
    assert login.engine_credentials() == {"username": "AWS", "password": "2"}
