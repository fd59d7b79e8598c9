"""The packages import nothing of each other, so that only a test can say that they mean the same folders."""

import packer
from analyzer import contract
from lifecycle.domain.models import FOLDERS, RUNTIME
from pulumi_stack.components.container import CONTAINER_ROOT, HOST_ROOT, MODEL_FOLDERS, RUNTIME_FOLDER


def test_lock_launch_and_container_know_the_same_model_folders() -> None:
    assert set(FOLDERS) - {RUNTIME} == set(MODEL_FOLDERS) == set(contract.MODEL_FOLDERS)
    assert RUNTIME == RUNTIME_FOLDER == contract.RUNTIME_FOLDER
    assert f"{RUNTIME}/*)" in (packer.TEMPLATE.parents[1] / "provisioners" / "validate.sh").read_text()


def test_the_ami_is_read_where_the_bake_writes() -> None:
    assert f'"MODEL_ROOT={HOST_ROOT}"' in packer.TEMPLATE.read_text()
    assert CONTAINER_ROOT == contract.DEFAULT_MODEL_ROOT
