"""The runtime contract: what its file may say, and what of a lock it leaves to the image."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import analyzer.runtime_contract
from images.base.contract import ENV_CONTRACT, ENV_MOUNT, read_contract, wanted_runtime, without_contract
from images.base.runtime import contract_of
from images.errors import BaseInvalid
from tests.unit.images.base_parts import make_contract

LOCK = """\
# made by a resolver
jmespath==1.1.0 \\
    --hash=sha256:1111
    # via boto3
six==1.17.0 \\
    --hash=sha256:2222 \\
    --hash=sha256:3333
    # via python-dateutil
--only-binary :all:
typing_extensions==4.16.0 \\
    --hash=sha256:4444
"""


def test_contract_is_read_and_named_by_the_digest_of_its_file(tmp_path: Path) -> None:
    file = make_contract(tmp_path / "c.json", packages={"Six": "1.17.0", "nvidia_cublas_cu12": "12.9.1"})
    contract = read_contract(file)
    assert contract.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert contract.packages == {"six": "1.17.0", "nvidia-cublas-cu12": "12.9.1"}
    assert contract.modules == {"six"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema": "capctl.runtime-contract/2"}, "its schema is not"),
        ({"schema": None}, "its schema is not"),
        ({"python": None}, "lacks `python`"),
        ({"pythons": "3.12"}, "unknown key `pythons`"),
        ({"python": "3.12.1"}, "`python` is not of the form"),
        ({"mount": "relative"}, "`mount` is not a folder"),
        ({"mount": "/opt/../app"}, "`mount` is not a folder"),
        ({"mount": "/opt/x y"}, "`mount` is not a folder"),
        ({"packages": {"torch": ">=2"}}, "`packages` does not map"),
        ({"packages": ["torch"]}, "`packages` does not map"),
        ({"packages": {"../x": "1"}}, "`../x` is not the name of a package"),
        ({"packages": {"": "1"}}, "`` is not the name of a package"),
        ({"packages": {"A_b": "1", "a-b": "2"}}, "`packages` names one of them twice"),
        ({"modules": ["torch.nn"]}, "`modules` is not a list"),
        ({"modules": "torch"}, "`modules` is not a list"),
        ({"libraries": {"cuda": "12.9"}}, "`libraries` does not map"),
        ({"tree_sha256": "abc"}, "`tree_sha256` is not of the form"),
    ],
)
def test_contract_that_is_none_is_refused_with_the_reason(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    with pytest.raises(BaseInvalid, match=reason):
        read_contract(make_contract(tmp_path / "c.json", **change))


def test_file_that_is_missing_or_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BaseInvalid, match="cannot be read"):
        read_contract(tmp_path / "nowhere.json")
    (tmp_path / "c.json").write_text("{")
    with pytest.raises(BaseInvalid, match="not JSON"):
        read_contract(tmp_path / "c.json")
    (tmp_path / "c.json").write_text("[" * 100_000)
    with pytest.raises(BaseInvalid, match="not JSON"):
        read_contract(tmp_path / "c.json")
    (tmp_path / "c.json").write_text("[]")
    with pytest.raises(BaseInvalid, match="schema"):
        read_contract(tmp_path / "c.json")


def test_lock_loses_the_requirements_of_the_contract_with_their_hashes_and_nothing_else(tmp_path: Path) -> None:
    contract = read_contract(
        make_contract(tmp_path / "c.json", packages={"six": "1.17.0", "Typing.Extensions": "4.16.0"})
    )
    assert without_contract(LOCK, contract) == "".join(
        line
        for line in LOCK.splitlines(keepends=True)
        if not any(word in line for word in ("six", "2222", "3333", "dateutil", "typing", "4444"))
    )
    assert without_contract(LOCK, None) == LOCK


def test_versions_that_differ_are_refused_by_name(tmp_path: Path) -> None:
    packages = {"six": "1.16.0", "typing-extensions": "4.0.0", "torch": "2.9.1"}
    contract = read_contract(make_contract(tmp_path / "c.json", packages=packages))
    with pytest.raises(BaseInvalid) as refused:
        without_contract(LOCK, contract)
    assert refused.value.message == (
        "The lock and the runtime contract want different versions of "
        "`six` (1.17.0 and 1.16.0), `typing-extensions` (4.16.0 and 4.0.0)"
    )


def test_job_reads_the_variables_that_the_image_sets() -> None:
    reader = analyzer.runtime_contract
    assert (reader.ENV_CONTRACT, reader.ENV_MOUNT) == (ENV_CONTRACT, ENV_MOUNT)


NO_MOUNTS = (
    "/",
    "/opt",
    "/mnt/",
    "/opt/site",
    "/opt/site/x",
    "/opt/dl-models/x",
    "/opt/../etc",
    "/app/x",
    "/etc",
    "/home/x",
    "/run/x",
    "/var/x",
)
NO_MOUNTS += ("/lib32/x", "/proc/x", "/results", "/root/x", "/usr/lib", "/video", "/workspace/models")


@pytest.mark.parametrize("mount", NO_MOUNTS)
def test_mount_where_images_and_hosts_have_files_of_their_own_is_refused_and_an_image_that_wants_it_names_none(
    tmp_path: Path, mount: str
) -> None:
    with pytest.raises(BaseInvalid, match="is not a folder below"):
        read_contract(make_contract(tmp_path / "c.json", mount=mount))
    found = wanted_runtime({"config": {"Env": ["CAPCTL_RUNTIME_CONTRACT=ab", f"CAPCTL_RUNTIME_MOUNT={mount}"]}})
    assert found
    assert found.mount == ""


@pytest.mark.parametrize("mount", ["/opt/runtime", "/opt/sites", "/srv/team/1", "/mnt/runtime"])
def test_mount_below_the_folders_that_are_nobodys_is_taken_by_both_readers(tmp_path: Path, mount: str) -> None:
    assert read_contract(make_contract(tmp_path / "c.json", mount=mount)).mount == mount
    found = wanted_runtime({"config": {"Env": ["CAPCTL_RUNTIME_CONTRACT=ab", f"CAPCTL_RUNTIME_MOUNT={mount}"]}})
    assert found
    assert found.mount == mount


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ([], None),
        (["PATH=/bin", "CAPCTL_RUNTIME_CONTRACT="], None),
        (["CAPCTL_RUNTIME_CONTRACT=ab", "CAPCTL_RUNTIME_MOUNT=/opt/runtime"], ("ab", "/opt/runtime")),
        (["CAPCTL_RUNTIME_CONTRACT=ab"], ("ab", "")),
        (["CAPCTL_RUNTIME_CONTRACT=ab", "CAPCTL_RUNTIME_MOUNT=../x"], ("ab", "")),
    ],
)
def test_image_tells_what_it_wants_of_its_host_by_what_the_job_reads(
    variables: list[str], wanted: tuple[str, str] | None
) -> None:
    found = wanted_runtime({"config": {"Env": variables}})
    assert (found and (found.sha256, found.mount)) == wanted
    assert wanted_runtime({}) is None


FILES = (
    "site-packages/six.py",
    "site-packages/__pycache__/six.cpython-311.pyc",
    "site-packages/six-1.17.0.dist-info/METADATA",
    "site-packages/six-1.17.0.dist-info/RECORD",
    "site-packages/_cffi_backend.cpython-311-x86_64-linux-gnu.so",
    "site-packages/nvidia/cudnn/lib/libcudnn.so.9",
    "site-packages/nvidia/cudnn/__init__.py",
    "site-packages/nvidia_cudnn_cu12-9.14.0.64.dist-info/METADATA",
    "site-packages/numpy.libs/libopenblas.so",
    "site-packages/bin/tool.py",
    "site-packages/share/readme.txt",
    "lib/libcudart.so.12",
    "lib/libcudart.so.12.9.79",
    "lib/libplain.so",
)


def test_contract_is_told_by_the_files_of_the_runtime(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_bytes(contract_of(FILES, mount="/opt/runtime", tree_sha256="a" * 64))
    contract = read_contract(tmp_path / "c.json")
    assert (contract.python, contract.mount, contract.tree_sha256) == ("3.11", "/opt/runtime", "a" * 64)
    assert contract.packages == {"six": "1.17.0", "nvidia-cudnn-cu12": "9.14.0.64"}
    assert contract.modules == {"six", "_cffi_backend", "nvidia"}
    assert contract.libraries == {"cudart": "12"}


def test_bytecode_tells_the_python_where_a_package_has_an_extension_for_each() -> None:
    files = (*FILES, "site-packages/dali/impl.cpython-312-x86_64-linux-gnu.so")
    assert json.loads(contract_of(files, mount="/opt/runtime", tree_sha256="a" * 64))["python"] == "3.11"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (("site-packages/six.py",), "holds no bytecode"),
        ((*FILES, "site-packages/__pycache__/six.cpython-312.pyc"), "of Python 3.11 and 3.12"),
        ((*FILES, "site-packages/six-1.16.0.dist-info/METADATA"), "holds `six` twice, 1.16.0 and 1.17.0"),
        ((*FILES, "site-packages/Six-1.16.0.dist-info/METADATA"), "holds `six` twice, 1.16.0 and 1.17.0"),
        ((*FILES, "lib/libcudart.so.11"), "holds `cudart` twice, 11 and 12"),
    ],
)
def test_runtime_that_no_contract_can_tell_is_refused(files: tuple[str, ...], reason: str) -> None:
    with pytest.raises(BaseInvalid, match=reason):
        contract_of(files, mount="/opt/runtime", tree_sha256="a" * 64)
