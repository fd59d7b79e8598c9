"""The account's ECR in its troubles, as a command tells of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from images.registry import RegistryClient
from images.transport import Attempts
from lifecycle.adapters.aws.registry_login import RegistryLogin
from lifecycle.adapters.base_builder import EngineBaseBuilder
from lifecycle.adapters.container_registry import ContainerRegistry
from lifecycle.errors import ExitCode
from tests.failures import failure
from tests.fakes.clock import FakeClock
from tests.fakes.registry import FakeRegistry, Fault, serving
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi
from tests.unit.lifecycle.test_registry_login import Ecr, refusal


@pytest.fixture
def server() -> Iterator[FakeRegistry]:
    with serving() as fake:
        yield fake


@pytest.fixture
def ecr() -> Ecr:
    return Ecr()


@pytest.fixture
def registry(server: FakeRegistry, ecr: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ContainerRegistry:
    """The target's, whose ECR is that server; it waits for nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    target = make_target(tmp_path)
    login = RegistryLogin(target, ecr, FakeClock())
    login.url = server.url
    made = ContainerRegistry(target, login)
    made.client = RegistryClient(
        server.url,
        target.repository_name,
        credentials=login.authorization,
        forget=login.forget,
        attempts=Attempts(count=2, sleep=lambda _s: None),
    )
    return made


def test_token_that_ecr_calls_expired_is_renewed(registry: ContainerRegistry, server: FakeRegistry, ecr: Ecr) -> None:
    server.login = "Basic token-2"
    assert registry.find("v1") is None
    assert ecr.asked == 2


@pytest.mark.parametrize("has_repository", [True, False])
def test_cut_connection_is_a_missing_repository_where_ecr_says_so(
    registry: ContainerRegistry, server: FakeRegistry, ecr: Ecr, has_repository: bool
) -> None:
    ecr.failure = None if has_repository else refusal("RepositoryNotFoundException")
    server.repositories = set()

    def push() -> None:
        with registry.errors_translated():
            registry.client.upload_blob(b"content")

    failed = failure(push)
    assert failed.code == ("registry-unreachable" if has_repository else "repository-missing")
    assert ("capctl bootstrap" in failed.hint) is not has_repository


def test_missing_repository_that_is_named_is_told_with_the_way_to_make_it(
    registry: ContainerRegistry, server: FakeRegistry
) -> None:
    server.repositories, server.cuts_unknown = set(), False
    failed = failure(lambda: registry.index(registry.ref("sha256:" + "1" * 64)))
    assert failed.code == "repository-missing"
    assert "capctl bootstrap" in failed.hint


def test_base_is_not_built_for_a_repository_that_ecr_does_not_have(
    registry: ContainerRegistry, ecr: Ecr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    builder = builder_on(registry, tmp_path)
    assert failure(builder.build).code == "engine-missing"
    ecr.failure = refusal("RepositoryNotFoundException")
    assert failure(builder.build).code == "repository-missing"


def builder_on(registry: ContainerRegistry, folder: Path) -> EngineBaseBuilder:
    (folder / "requirements.lock").write_text("")
    root = {"from_image": f"registry.example/python@sha256:{'1' * 64}", "requirements": "requirements.lock"}
    return EngineBaseBuilder(make_target(folder, image={"base": root}), registry, FakeUi())


def test_missing_base_is_told_of_a_registry_that_has_the_repository_or_makes_it(
    registry: ContainerRegistry, tmp_path: Path
) -> None:
    assert failure(builder_on(registry, tmp_path).required).code == "base-missing"


def test_missing_repository_is_no_missing_base(
    registry: ContainerRegistry, server: FakeRegistry, tmp_path: Path
) -> None:
    server.repositories = set()
    failed = failure(builder_on(registry, tmp_path).required)
    assert failed.code == "repository-missing"
    assert "correct `image.repository`" in failed.hint


@pytest.mark.parametrize("page", ["<html>Not Found</html>", "404 page not found", ""])
def test_address_that_is_no_registry_is_told_before_a_base_is_built(
    registry: ContainerRegistry, server: FakeRegistry, tmp_path: Path, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    server.faults.append(Fault("", "", status=404, message=page, is_plain=True, times=99))
    for call in (builder_on(registry, tmp_path).required, builder_on(registry, tmp_path).build):
        failed = failure(call)
        assert failed.code == "registry-missing"
        assert "registry_url" in failed.hint
        assert server.url in failed.message


@pytest.mark.parametrize(("status", "page"), [(200, "{}"), (200, ""), (401, "log in"), (404, '{"errors": []}')])
def test_registry_may_answer_for_itself_in_any_way_of_its_api(
    registry: ContainerRegistry, server: FakeRegistry, tmp_path: Path, status: int, page: str
) -> None:
    headers = {"Docker-Distribution-Api-Version": "registry/2.0"} if status == 404 else {}
    server.faults.append(Fault("GET", "/v2/", status=status, message=page, headers=headers, is_plain=True))
    assert failure(builder_on(registry, tmp_path).required).code == "base-missing"


def test_missing_contract_tells_where_it_comes_from(registry: ContainerRegistry, tmp_path: Path) -> None:
    target = make_target(tmp_path, image={"base": {"runtime_contract": "models/runtime/contract.json"}})
    failed = failure(EngineBaseBuilder(target, registry, FakeUi()).runtime_modules)
    assert failed.code == "base-invalid"
    assert "git" in failed.hint
    assert "`capctl models contract`" in failed.hint


def test_throttling_proves_nothing_either_way(registry: ContainerRegistry, server: FakeRegistry) -> None:
    server.faults.append(Fault("HEAD", "", status=429, times=9))
    failed = failure(lambda: registry.find("v1"))
    assert (failed.code, failed.exit_code) == ("registry-throttled", ExitCode.INCONCLUSIVE)
