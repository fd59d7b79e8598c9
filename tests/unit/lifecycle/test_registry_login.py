"""The registry's token in the cache."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lifecycle.adapters.aws.registry_login import RegistryLogin
from tests.fakes.clock import FakeClock
from tests.fakes.targets import make_target


class Ecr:
    """A session whose ECR gives tokens with a number."""

    def __init__(self) -> None:
        self.asked = 0

    def client(self, service: str) -> Any:
        assert service == "ecr"
        return self

    def get_authorization_token(self) -> dict[str, Any]:
        self.asked += 1
        expires = FakeClock().now() + timedelta(hours=12)
        return {"authorizationData": [{"authorizationToken": f"token-{self.asked}", "expiresAt": expires}]}


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
