"""Bad input and broken parts: a typed error with the right exit code, nothing lost, nothing left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal.kept_stage import Project, replace

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(600)]

EXPIRED = b"""<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>ExpiredToken</Code>
<Message>The security token included in the request is expired</Message></Error><RequestId>1</RequestId></ErrorResponse>"""
DEAD = "http://127.0.0.1:1"


class Refuser:
    """A server that gives one answer to whatever it is asked."""

    status, body = 500, b""

    def __init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(outer.body)

            do_HEAD = do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815 - http.server's names

            def log_message(self, *arguments: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def refuser() -> Iterator[Refuser]:
    made = Refuser()
    yield made
    made.server.shutdown()
    made.server.server_close()


# --- configuration


def test_unknown_key_is_named_with_its_place_and_a_near_name(project: Project) -> None:
    replace(project.config, project.config.read_text().replace("vcpus:", "vcpu:").encode())
    line = 1 + project.config.read_text().splitlines().index("      vcpu: 1")
    message = project.fails("config-invalid", 2, "status")
    assert f"capctl.yaml:{line}:7: `vcpu`" in message
    assert "did you mean `vcpus`?" in message


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\xff\xfe\x00binary", "config-unreadable"),
        (b"\0\1\2", "config-invalid"),
        (b"", "config-invalid"),
        (b"[" * 5000, "config-invalid"),
        (b"a: &a [1,1]\n" + b"".join(b"b%d: &b%d [*%s,*%s]\n" % (i, i, p, p) for i, p in
         ((i, b"b%d" % (i - 1) if i else b"a") for i in range(60))), "config-invalid"),
    ],
    ids=["not text", "control characters", "empty", "nested", "aliases of aliases"],
)  # fmt: skip
def test_configuration_that_is_none_is_a_usage_error(project: Project, content: bytes, code: str) -> None:
    replace(project.config, content)
    project.fails(code, 2, "status")


def test_configuration_that_is_a_folder_or_missing_is_a_usage_error(project: Project) -> None:
    project.fails("config-unreadable", 2, "status", CAPCTL_CONFIG=str(project.folder))
    project.fails("config-missing", 2, "status", CAPCTL_CONFIG=str(project.folder / "other.yaml"))


def test_unknown_target_gets_a_near_name(project: Project) -> None:
    assert "did you mean `rehearsal`?" in project.fails("target-unknown", 2, "status", "--target", "rehersal")


@pytest.mark.parametrize("address", ["nonsense", "http://[bad", "ftp://example.org"])
def test_address_that_is_none_is_a_mistake_in_the_file(project: Project, address: str) -> None:
    with project.changed_config() as (_, target):
        target["endpoint_url"] = target["registry_url"] = address
    assert "`targets.rehearsal.registry_url` must be an address" in project.fails("config-invalid", 2, "status")


# --- account and credentials


def test_another_account_is_refused(project: Project) -> None:
    with project.changed_config() as (_, target):
        target["account"] = "999999999999"
    assert "999999999999" in project.fails("account-mismatch", 4, "ami", "bake", "--force")


def test_without_credentials_nothing_is_tried(project: Project, tmp_path: Path) -> None:
    nobody = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_CONFIG_FILE": str(tmp_path / "no")}
    project.fails("credentials-missing", 4, "status", AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "no"), **nobody)


def test_login_that_ran_out_is_a_matter_of_credentials(project: Project, tmp_path: Path, refuser: Refuser) -> None:
    (tmp_path / "aws").write_text("[default]\ncredential_process = /bin/false\n")
    gone = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_CONFIG_FILE": str(tmp_path / "aws")}
    project.fails("credentials-expired", 4, "status", AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "no"), **gone)
    refuser.status, refuser.body = 403, EXPIRED
    with project.changed_config() as (_, target):
        target["endpoint_url"] = refuser.url
    project.fails("credentials-expired", 4, "ami", "bake")


def test_aws_that_answers_nothing_or_nonsense_is_told_apart(project: Project, refuser: Refuser) -> None:
    refuser.status, refuser.body = 200, b"<html>"
    for address, code in ((DEAD, "aws-unreachable"), (refuser.url, "aws-unclear")):
        with project.changed_config() as (_, target):
            target["endpoint_url"] = address
        project.fails(code, 1, "ami", "ls")


# --- images


@pytest.mark.parametrize("host", ["unix:///nonexistent.sock", "tcp://127.0.0.1:1", "nonsense://"])
def test_base_image_needs_an_engine(newcomer: Project, host: str) -> None:
    newcomer.fails("engine-missing", 1, "image", "base", DOCKER_HOST=host)


@pytest.mark.parametrize(
    ("status", "body", "code", "exit_code"),
    [
        (403, b"no", "registry-denied", 4),
        (500, b"<html>", "registry-unreachable", 1),
        (200, b"<html>", "registry-refused", 1),
    ],
)
def test_registry_that_refuses_is_told_apart(
    project: Project, refuser: Refuser, status: int, body: bytes, code: str, exit_code: int
) -> None:
    refuser.status, refuser.body = status, body
    with project.changed_config() as (_, target):
        target["registry_url"] = refuser.url
    project.fails(code, exit_code, "image", "push")


def test_registry_that_is_gone_is_unreachable(project: Project) -> None:
    with project.changed_config() as (_, target):
        target["registry_url"] = DEAD
    project.fails("registry-unreachable", 1, "image", "push")


def test_engine_whose_push_is_refused_says_so(newcomer: Project, refuser: Refuser) -> None:
    refuser.status, refuser.body = 404, b'{"errors": [{"code": "UNSUPPORTED"}]}'
    with newcomer.changed_config() as (_, target):
        target["registry_url"] = refuser.url
    newcomer.fails("engine-failed", 1, "image", "base")


def test_address_that_is_no_registry_is_told_before_a_base_is_built(newcomer: Project, refuser: Refuser) -> None:
    refuser.status = 404
    with newcomer.changed_config() as (_, target):
        target["registry_url"] = refuser.url
    newcomer.fails("registry-missing", 1, "image", "base")


# --- releases


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("status", "base-missing"),
        ("rollback --yes", "base-missing"),
        ("smoke", "base-missing"),
        ("job ls", "base-missing"),
        ("job submit --video s3://x/y.mp4", "base-missing"),
        ("models push", "bucket-missing"),
        ("image push", "base-missing"),
        ("ami bake", "object-missing"),
        ("deploy --yes", "ami-missing"),
    ],
)
def test_command_before_bootstrap_says_what_to_do_first(newcomer: Project, command: str, code: str) -> None:
    newcomer.fails(code, 1, *command.split())


def test_command_before_the_first_release_says_so(newcomer: Project) -> None:
    newcomer.done("bootstrap")
    assert newcomer.done("status")["pointer"] is None
    for command in ("rollback --yes", "smoke", "job ls", f"job submit --video s3://{newcomer.bucket}/videos/y.mp4"):
        newcomer.fails("pointer-missing", 1, *command.split())


def test_what_does_not_exist_is_named(project: Project) -> None:
    unknown = "sha256:" + "0" * 64
    project.fails("release-missing", 1, "rollback", "--yes", "--to", "deadbeef0000")
    project.fails("release-id-invalid", 2, "smoke", "--release", "../../etc")
    project.fails("job-id-invalid", 2, "job", "logs", "no-such-job")
    project.fails("job-missing", 1, "job", "logs", "01234567-89ab-cdef-0123-456789abcdef")
    project.fails("ami-missing", 1, "deploy", "--yes", "--ami", "ami-0123456789abcdef0")
    project.fails("image-missing", 1, "image", "verify", unknown)


def test_deploy_asks_nobody_where_there_is_no_terminal(project: Project) -> None:
    pointer = project.done("status")["pointer"]
    project.fails("confirmation-needed", 2, "deploy")
    assert project.done("status")["pointer"] == pointer


# --- this machine


def test_state_that_is_damaged_is_as_good_as_none(project: Project) -> None:
    state = project.folder / ".capctl"
    state.mkdir()
    record, journal = state / "base-rehearsal.json", state / "journal-rehearsal.jsonl"
    damage = (b"\xff\xfe\n", b"hello\n", b"[1]\n", b"{}\n", b'{"half": \n', b"\n")
    replace(journal, b"".join(damage))
    for content in damage:
        replace(record, content)
        assert not project.done("image", "push")["changed"]
    assert [entry["step"][:9] for entry in project.done("status")["journal"]] == ["push code"] * len(damage)


def test_folder_that_cannot_be_written_is_named(project: Project, tmp_path: Path) -> None:
    (project.folder / ".capctl").write_text("a file where a folder belongs")
    assert ".capctl" in project.fails("file-unusable", 1, "status")
    project.fails("journal-unwritable", 1, "ami", "bake", "--force")
    (project.folder / ".capctl").unlink()
    (tmp_path / "file").write_text("")
    assert str(tmp_path) in project.fails("file-unusable", 1, "image", "push", XDG_CACHE_HOME=str(tmp_path / "file"))
    project.fails("file-unusable", 1, "rehearse", "--report", "/proc/no")


def test_full_disk_ends_before_anything_is_changed(project: Project) -> None:
    state = project.folder / ".capctl"
    state.mkdir()
    (state / "journal-rehearsal.jsonl").symlink_to("/dev/full")
    assert "No space left" in project.fails("journal-unwritable", 1, "ami", "bake", "--force")
