"""What every `ports.ContractFile` does, and what a file tells besides."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lifecycle.adapters.contract_file import ProjectContract
from lifecycle.errors import ExitCode
from lifecycle.ports.contract_file import ContractFile
from tests.failures import failure
from tests.fakes.contract_file import FakeContractFile
from tests.fakes.targets import make_target

NAME = "models/runtime/contract.json"
Opened = Callable[[], ContractFile]


def in_project(folder: Path, name: str | None = NAME) -> ProjectContract:
    return ProjectContract(make_target(folder, image={"base": {"runtime_contract": name}}))


@pytest.fixture(params=["fake", "file"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """The same contract, as one more command opens it."""
    if request.param == "fake":
        contract = FakeContractFile()
        return lambda: contract
    return lambda: in_project(tmp_path)


def test_contract_is_called_as_the_configuration_names_it(opened: Opened) -> None:
    assert opened().name == NAME


def test_contract_reads_back_as_it_was_written_last(opened: Opened) -> None:
    assert opened().read() is None
    for content in (b"first", b"second"):
        opened().write(content)
        assert opened().read() == content


def test_written_contract_is_readable_for_whoever_reads_the_models(tmp_path: Path) -> None:
    in_project(tmp_path).write(b"{}")
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o644
    assert [file.name for file in (tmp_path / NAME).parent.iterdir()] == ["contract.json"]


def test_contract_that_no_key_names_is_a_usage_error(tmp_path: Path) -> None:
    contract = in_project(tmp_path, None)
    for refused in (failure(contract.read), failure(lambda: contract.write(b"{}"))):
        assert (refused.code, refused.exit_code) == ("runtime-contract-unset", ExitCode.USAGE)


def test_place_that_can_hold_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir(parents=True)
    contract = in_project(tmp_path)
    for refused in (failure(contract.read), failure(lambda: contract.write(b"{}"))):
        assert refused.code == "runtime-contract-refused"
