"""The registry's token in the cache."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from lifecycle.adapters.aws.registry_login import RegistryLogin
from lifecycle.errors import Interrupted
from tests.fakes.clock import FakeClock
from tests.fakes.targets import make_target


class Ecr:
    """A session whose ECR gives tokens with a number, and fails with `failure` to tell of a repository."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.asked = 0
        self.failure = failure

    def client(self, service: str) -> Any:
        assert service == "ecr"
        return self

    def get_authorization_token(self) -> dict[str, Any]:
        self.asked += 1
        expires = FakeClock().now() + timedelta(hours=12)
        return {"authorizationData": [{"authorizationToken": f"token-{self.asked}", "expiresAt": expires}]}

    def describe_repositories(self, *, repositoryNames: list[str]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        if self.failure:
            raise self.failure
        return {"repositories": [{"repositoryName": name} for name in repositoryNames]}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "capctl" / "ecr" / "123456789012-us-west-2-default.json"


def test_token_is_asked_for_once_and_kept_from_others(cache: Path, tmp_path: Path) -> None:
    ecr: Any = Ecr()
    login = RegistryLogin(make_target(tmp_path), ecr, FakeClock())
    assert [login.authorization(), login.authorization()] == ["Basic token-1"] * 2
    assert cache.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe", b"hello", b"[1]", b"{}", b'{"token": "old", "expires_s": "soon"}', json.dumps({"token": "old", "expires_s": 0}).encode()],
)  # fmt: skip
def test_token_that_is_damaged_or_over_is_renewed(cache: Path, tmp_path: Path, content: bytes) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_bytes(content)
    ecr: Any = Ecr()
    login = RegistryLogin(make_target(tmp_path), ecr, FakeClock())
    assert login.authorization() == "Basic token-1"
    assert json.loads(cache.read_text())["token"] == "token-1"


def test_token_that_the_registry_calls_expired_is_replaced_in_the_cache_too(cache: Path, tmp_path: Path) -> None:
    ecr: Any = Ecr()
    login = RegistryLogin(make_target(tmp_path), ecr, FakeClock())
    login.forget(login.authorization())
    assert [login.authorization(), login.authorization()] == ["Basic token-2"] * 2
    assert json.loads(cache.read_text())["token"] == "token-2"
    login.forget("Basic token-1")  # by another thread, which had sent it before
    assert login.authorization() == "Basic token-2"


def test_token_that_another_command_has_renewed_meanwhile_is_taken_from_the_cache(cache: Path, tmp_path: Path) -> None:
    ecr: Any = Ecr()
    one, other = (RegistryLogin(make_target(tmp_path), ecr, FakeClock()) for _ in range(2))
    assert one.authorization() == other.authorization() == "Basic token-1"
    for login in (one, other):
        login.forget("Basic token-1")
    assert one.authorization() == other.authorization() == "Basic token-2"
    assert ecr.asked == 2


def test_token_that_cannot_be_cached_is_asked_for_once_by_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    ecr: Any = Ecr()
    login = RegistryLogin(make_target(tmp_path), ecr, FakeClock())
    assert [login.authorization() for _ in range(3)] == ["Basic token-1"] * 3


def test_threads_that_need_a_token_at_once_ask_for_one(cache: Path, tmp_path: Path) -> None:
    ecr: Any = Ecr()
    login = RegistryLogin(make_target(tmp_path), ecr, FakeClock())

    def go_on(_: int) -> str:
        login.forget("Basic token-1")
        return login.authorization()

    assert login.authorization() == "Basic token-1"
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(go_on, range(64))) == {"Basic token-2"}
    assert ecr.asked == 2


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeRepositories")


@pytest.mark.parametrize(
    ("failure", "lacks"),
    [
        (None, False),
        (refusal("RepositoryNotFoundException"), True),
        (refusal("AccessDeniedException"), False),
        (EndpointConnectionError(endpoint_url="nowhere"), False),
    ],
)
def test_repository_is_missing_only_where_ecr_says_so(tmp_path: Path, failure: Exception | None, lacks: bool) -> None:
    ecr: Any = Ecr(failure)
    target = make_target(tmp_path)
    assert RegistryLogin(target, ecr, FakeClock()).lacks_repository() is lacks
    elsewhere = replace(target, registry_url="http://registry.example")
    assert not RegistryLogin(elsewhere, ecr, FakeClock()).lacks_repository()


def test_signal_is_no_answer_about_a_repository(tmp_path: Path) -> None:
    ecr: Any = Ecr(Interrupted("interrupted", "The command was interrupted"))
    with pytest.raises(Interrupted):
        RegistryLogin(make_target(tmp_path), ecr, FakeClock()).lacks_repository()
