"""A runtime that the AMI brings: described, locked, baked, and paired with the images that want it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from images.base.contract import ENV_CONTRACT, ENV_MOUNT
from lifecycle.adapters.model_files import FolderSource
from lifecycle.adapters.pulumi_programs import release_spec
from lifecycle.domain.models import CONTRACT, ModelFile, model_set
from lifecycle.domain.release import Release
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, ExitCode
from lifecycle.workflows.copy_ami import copy_ami
from lifecycle.workflows.deploy import plan_deploy
from lifecycle.workflows.execute import execute
from lifecycle.workflows.load_image import local_code, run_by_hand
from lifecycle.workflows.lock_models import plan_lock, require_up_to_date
from lifecycle.workflows.lookups import locked
from lifecycle.workflows.source_models import from_source
from lifecycle.workflows.verify_ami import verify_ami
from lifecycle.workflows.wanted_release import Wanted, wanted_release
from lifecycle.workflows.write_contract import plan_contract, written_contract
from tests.failures import failure
from tests.fakes.bakes import CONTENTS, Scene, failure_of
from tests.fakes.deploys import DeployWorld, ami_tags
from tests.fakes.ports import FakePorts
from tests.fakes.releases import make_release
from tests.fakes.runs import RUN

FILES = {
    "runtime/site-packages/six.py": b"six",
    "runtime/site-packages/__pycache__/six.cpython-311.pyc": b"compiled",
    "runtime/site-packages/six-1.17.0.dist-info/METADATA": b"Name: six",
    "runtime/site-packages/six-1.17.0.dist-info/top_level.csv": b"a,b",
    "runtime/site-packages/pack/tools/__init__.py": b"",
    "runtime/site-packages/pack/.cache/x": b"left by a tool",
}
KEPT_OUT = "runtime/site-packages/pack/.cache/x"
MOUNT = "/opt/runtime"


class Source:
    """A folder with a model and a runtime; the contract is in the runtime, where the configuration names it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = FakePorts(model_source=FolderSource(folder, exclude=()))
        self.write({"models/age.onnx": b"age", **FILES})

    def write(self, files: dict[str, bytes]) -> None:
        for name, data in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(data)

    def describe(self, mount: str | None = None) -> None:
        execute(plan_contract(self.ports, mount=mount), self.ports, RUN)
        self.write({CONTRACT: self.ports.contract_file.read() or b""})

    def lock(self) -> None:
        execute(plan_lock(self.ports), self.ports, RUN)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
def world(tmp_path: Path) -> DeployWorld:
    return DeployWorld(tmp_path)


def test_runtime_is_locked_with_its_bytecode_and_whatever_its_packages_call_their_folders(source: Source) -> None:
    source.describe()
    source.lock()
    models = locked(source.ports)
    assert {file.path for file in models.runtime} == {*FILES, CONTRACT} - {KEPT_OUT}
    assert [file.path for file in models.models] == ["models/age.onnx"]
    assert models.folders == ("models", "runtime")


def test_contract_tells_what_the_runtime_holds_and_its_tree_is_that_of_all_files_but_itself(source: Source) -> None:
    source.describe()
    told = written_contract(source.ports).document
    assert (told["packages"], told["modules"], told["mount"]) == ({"six": "1.17.0"}, ["pack", "six"], MOUNT)
    assert plan_contract(source.ports, mount=None).steps == ()
    source.write({"runtime/site-packages/six.py": b"another"})
    assert len(plan_contract(source.ports, mount=None).steps) == 1


def test_contract_keeps_the_mount_that_it_had(source: Source) -> None:
    source.describe(mount="/srv/runtime")
    source.write({"runtime/site-packages/six.py": b"another"})
    source.describe()
    assert written_contract(source.ports).document["mount"] == "/srv/runtime"


def test_bytecode_that_an_ami_makes_stale_is_refused(source: Source) -> None:
    source.write({"runtime/site-packages/__pycache__/six.cpython-311.pyc": b"\xa7\r\r\n" + bytes(12)})
    refused = failure(source.describe)
    assert (refused.code, "unchecked-hash" in refused.hint) == ("runtime-invalid", True)
    assert source.ports.contract_file.read() is None


def test_one_stale_file_among_many_is_found_by_contract_and_lock(source: Source) -> None:
    compiled = "runtime/site-packages/__pycache__/m{}.cpython-311.pyc"
    source.write({compiled.format(number): b"\xa7\r\r\n" + b"\1" + bytes(11) for number in range(60)})
    source.describe()
    source.lock()
    source.write({compiled.format(31): b"\xa7\r\r\n" + bytes(12)})
    assert "m31.cpython-311.pyc` would be compiled anew" in failure(source.describe).message
    document = written_contract(source.ports).document
    source.write(
        {CONTRACT: json.dumps({**document, "tree_sha256": from_source(source.ports, None).runtime_tree}).encode()}
    )
    assert "m31.cpython-311.pyc` would be compiled anew" in failure(source.lock).message


def test_mount_that_would_hide_the_image_is_refused_before_anything_is_written(source: Source) -> None:
    refused = failure(lambda: source.describe(mount="/app/runtime"))
    assert (refused.code, source.ports.contract_file.read()) == ("runtime-invalid", None)


def test_source_without_a_runtime_has_no_contract(tmp_path: Path) -> None:
    ports = FakePorts(model_source=FolderSource(tmp_path, exclude=()))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "age.onnx").write_bytes(b"age")
    assert failure(lambda: plan_contract(ports, mount=None)).code == "runtime-invalid"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"runtime/site-packages/six.py": b"another"}, "tells of other files"),
        ({"runtime/site-packages/more.py": b"more"}, "tells of other files"),
        ({CONTRACT: b"{}"}, "its schema is not"),
    ],
)
def test_runtime_whose_contract_is_not_its_own_is_not_locked(
    source: Source, change: dict[str, bytes], reason: str
) -> None:
    source.describe()
    source.lock()
    source.write(change)
    for refused in (failure(lambda: plan_lock(source.ports)), failure(lambda: require_up_to_date(source.ports))):
        assert (refused.code, refused.exit_code) == ("runtime-invalid", ExitCode.FAILED)
        assert reason in refused.message


def test_runtime_without_a_contract_is_not_locked(source: Source) -> None:
    assert "There is no `runtime/contract.json`" in failure(source.lock).message


def test_runtime_alone_is_no_model_set() -> None:
    files = (ModelFile(path="runtime/contract.json", bytes=2, sha256="0" * 64),)
    assert failure(lambda: model_set(files)).code == "models-empty"


def with_runtime(scene: Scene, **more: bytes) -> str:
    """Lock and push the models of the scene with a runtime; the digest (hex) of its contract."""
    files = {"runtime/site-packages/six.py": b"six", **more}
    scene.change_models({**CONTENTS, **files})
    tree = scene.lock.read()
    assert tree
    contract = {
        "schema": "capctl.runtime-contract/1",
        "python": "3.11",
        "mount": MOUNT,
        "packages": {},
        "modules": ["six"],
        "libraries": {},
        "tree_sha256": tree.runtime_tree,
    }
    scene.change_models({**CONTENTS, **files, CONTRACT: json.dumps(contract).encode()})
    models = scene.lock.read()
    assert models
    return models.runtime_contract


def test_ami_and_its_copies_are_tagged_with_the_contract_that_they_hold(scene: Scene) -> None:
    contract = with_runtime(scene)
    ami = scene.bake()
    assert ami.tags[Tag.RUNTIME_CONTRACT] == contract
    checks = verify_ami(scene.ports, scene.target, scene.amis, ami.id).checks
    assert {check.name: check.ok for check in checks if "runtime" in check.name} == {
        "runtime contract": True,
        "runtime size": True,
    }
    (copy,) = copy_ami(
        scene.ports,
        scene.target,
        RUN,
        ami.id,
        ("eu-west-1",),
        carry_out=lambda plan: execute(plan, scene.ports, RUN),
    )
    assert copy.ami
    assert copy.ami.tags[Tag.RUNTIME_CONTRACT] == contract


def test_ami_without_a_runtime_has_no_tag_and_no_checks_of_one(scene: Scene) -> None:
    ami = scene.bake()
    assert Tag.RUNTIME_CONTRACT not in ami.tags
    assert not [
        check for check in verify_ami(scene.ports, scene.target, scene.amis, ami.id).checks if "runtime" in check.name
    ]


@pytest.mark.parametrize("told", ["", "0" * 64])
def test_verify_finds_a_tag_that_tells_another_contract_than_the_ami_holds(scene: Scene, told: str) -> None:
    with_runtime(scene)
    ami = scene.bake()
    scene.amis.tag(ami.id, {Tag.RUNTIME_CONTRACT.value: told})
    failed = verify_ami(scene.ports, scene.target, scene.amis, ami.id).failed
    assert [check.name for check in failed] == ["runtime contract"]


def test_bake_refuses_a_lock_whose_contract_is_of_other_files_before_an_instance_starts(scene: Scene) -> None:
    with_runtime(scene)
    models = scene.lock.read()
    assert models
    scene.lock.write(model_set(tuple(replace(file, mode="0555") for file in models.files)))
    assert failure_of(scene).code == "runtime-invalid"
    scene.lock.write(model_set(tuple(file for file in models.files if file.path != CONTRACT)))
    assert "There is no `runtime/contract.json`" in failure_of(scene).message
    assert scene.baker.requests == []


def test_runtime_and_models_have_a_budget_each(scene: Scene) -> None:
    with_runtime(scene, **{"runtime/lib/big.bin": b"x" * 1001})
    scene.plan()
    models = replace(scene.target.settings.models, runtime_budget_bytes=1000)
    scene.target = replace(scene.target, settings=replace(scene.target.settings, models=models))
    refused = failure_of(scene)
    assert (refused.code, "`runtime/lib/big.bin`" in refused.message) == ("payload-over-budget", True)
    assert "`models.runtime_budget_bytes`" in refused.hint


CONTRACTS = ("a" * 64, "b" * 64)


def want(world: DeployWorld, contract: str, mount: str = MOUNT) -> None:
    """Push code on a base that was built for the contract."""
    world.ports.base_builder.environment = {ENV_CONTRACT: contract, ENV_MOUNT: mount}
    world.change_code()


def test_release_mounts_the_runtime_that_its_image_wants_and_its_ami_has(world: DeployWorld) -> None:
    want(world, CONTRACTS[0])
    world.amis.tag(world.ami.id, {Tag.RUNTIME_CONTRACT.value: CONTRACTS[0]})
    release = wanted_release(world.ports, world.target, Wanted())
    assert release_spec(release).runtime_mount == MOUNT
    world.deploy()
    assert world.active == release.id


@pytest.mark.parametrize("had", ["", CONTRACTS[1]])
def test_pair_that_does_not_fit_is_refused_before_anything_changes(world: DeployWorld, had: str) -> None:
    want(world, CONTRACTS[0])
    world.amis.tag(world.ami.id, {Tag.RUNTIME_CONTRACT.value: had})
    tags = dict(world.ports.registry.tags)
    refused = failure(lambda: plan_deploy(world.ports, world.target, RUN, Wanted()))
    assert (refused.code, refused.exit_code) == ("runtime-unsuited", ExitCode.FAILED)
    assert f"`{CONTRACTS[0][:12]}`" in refused.message
    assert (f"`{had[:12]}`" if had else "has none") in refused.message
    assert (world.ids, world.ports.registry.tags) == ([], tags)


def test_refused_pair_is_told_the_ami_that_would_do(world: DeployWorld) -> None:
    want(world, CONTRACTS[0])
    suited = world.amis.add("suited", tags={**ami_tags("verified"), Tag.RUNTIME_CONTRACT: CONTRACTS[0]})
    world.amis.add("newest", tags=ami_tags("verified"))
    refused = failure(lambda: plan_deploy(world.ports, world.target, RUN, Wanted()))
    assert f"--ami {suited.id}" in refused.hint
    assert wanted_release(world.ports, world.target, Wanted(ami=suited.id)).ami_id == suited.id


def test_image_that_wants_no_runtime_takes_any_ami_and_mounts_none(world: DeployWorld) -> None:
    world.amis.tag(world.ami.id, {Tag.RUNTIME_CONTRACT.value: CONTRACTS[0]})
    release = wanted_release(world.ports, world.target, Wanted())
    assert release.runtime_mount == ""
    world.deploy()


def test_image_that_names_no_place_for_its_runtime_is_refused(world: DeployWorld) -> None:
    want(world, CONTRACTS[0], mount="not a place")
    world.amis.tag(world.ami.id, {Tag.RUNTIME_CONTRACT.value: CONTRACTS[0]})
    with pytest.raises(CapctlError) as refused:
        wanted_release(world.ports, world.target, Wanted())
    assert refused.value.code == "manifest-unsupported"


def test_place_of_the_runtime_makes_another_release_and_its_absence_the_same_as_ever() -> None:
    release: Release = make_release()
    assert replace(release, runtime_mount=MOUNT).id != release.id
    assert "runtime_mount" not in release.record


def test_line_that_runs_an_image_by_hand_mounts_its_runtime_where_it_wants_it(world: DeployWorld) -> None:
    def mounts() -> list[str]:
        return [
            word
            for word in run_by_hand(world.ports, world.target, local_code(world.ports, world.target), None)
            if "runtime" in word
        ]

    assert mounts() == []
    want(world, CONTRACTS[0])
    assert mounts() == [f"type=bind,source=/models/runtime,target={MOUNT},readonly"]
