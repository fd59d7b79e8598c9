"""Where the states of the stacks are, and with what they are closed."""

from pathlib import Path
from typing import Any

import pytest

from lifecycle.adapters.pulumi_state import backend_url, secrets_environment, state_folder, write_secrets_note
from lifecycle.errors import UsageError
from tests.fakes.targets import make_target


@pytest.mark.parametrize(
    ("state", "url"),
    [
        ("s3", "s3://vision-capctl-state-123456789012-us-west-2?region=us-west-2&awssdk=v2"),
        ("s3://other/prefix", "s3://other/prefix?region=us-west-2&awssdk=v2"),
        ("file:///srv/state", "file:///srv/state?metadata=skip"),
    ],
)
def test_backend_is_where_the_configuration_says(tmp_path: Path, state: str, url: str) -> None:
    assert backend_url(make_target(tmp_path, stack={"state": state})) == url


def test_backend_of_an_emulator_is_reached_by_path(tmp_path: Path) -> None:
    url = backend_url(make_target(tmp_path, endpoint_url="http://127.0.0.1:1", stack={"state": "s3"}))
    assert url.endswith("&endpoint=http%3A%2F%2F127.0.0.1%3A1&s3ForcePathStyle=true")


def test_other_backends_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as failed:
        backend_url(make_target(tmp_path, stack={"state": "https://api.example.org"}))
    assert failed.value.code == "state-unknown"


def test_own_state_gets_one_passphrase_that_only_its_owner_reads(tmp_path: Path) -> None:
    target = make_target(tmp_path, stack={"state": "file://state"})
    first = secrets_environment(target, {})
    written = Path(first["PULUMI_CONFIG_PASSPHRASE_FILE"])
    passphrase = written.read_text()
    assert secrets_environment(target, {}) == first
    assert written.read_text() == passphrase
    assert written.stat().st_mode & 0o777 == 0o600
    assert written.parent == state_folder(target)
    assert [path.name for path in written.parent.iterdir()] == ["passphrase"]


def test_shared_state_needs_a_passphrase_from_the_team(tmp_path: Path) -> None:
    target = make_target(tmp_path, stack={"state": "s3"})
    with pytest.raises(UsageError) as failed:
        secrets_environment(target, {})
    assert failed.value.code == "passphrase-missing"
    given = {"PULUMI_CONFIG_PASSPHRASE": "x"}
    assert secrets_environment(target, given | {"HOME": "/"}) == given


def test_key_of_a_key_service_needs_no_passphrase(tmp_path: Path) -> None:
    target = make_target(tmp_path, stack={"state": "s3", "secrets_provider": "awskms://alias/capctl"})
    assert secrets_environment(target, {}) == {}


SALT, OTHER = "v1:own", "v1:of-another-stack"
CLOSED = {"secrets_providers": {"type": "passphrase", "state": {"salt": SALT}}}
BY_A_SERVICE = {"secrets_providers": {"type": "cloud", "state": {"url": "awskms://alias/capctl"}}}


@pytest.mark.parametrize(
    ("state", "before", "salt", "note", "known"),
    [
        (CLOSED, None, "", f"encryptionsalt: {SALT}\n", SALT),
        (CLOSED, "encryptionsalt: v1:older\n", OTHER, f"encryptionsalt: {SALT}\n", SALT),
        ({}, None, OTHER, f"encryptionsalt: {OTHER}\n", OTHER),
        ({}, "encryptionsalt: v1:older\n", OTHER, "encryptionsalt: v1:older\n", ""),
        ({}, None, "", None, ""),
        (BY_A_SERVICE, None, OTHER, None, ""),
    ],
)
def test_cli_knows_how_a_state_is_closed_before_it_is_given_a_passphrase(
    tmp_path: Path, state: dict[str, Any], before: str | None, salt: str, note: str | None, known: str
) -> None:
    path = tmp_path / "Pulumi.test-releases.yaml"
    if before:
        path.write_text(before)
    assert write_secrets_note(tmp_path, "test-releases", state, salt=salt) == known
    assert (path.read_text() if path.exists() else None) == note
