"""Which content belongs to which AMI, and when it may go."""

from pathlib import Path

import pytest

from lifecycle.rehearsal.emulator.layers import Layers


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    made = Layers(tmp_path / "amis")
    rootfs = tmp_path / "rootfs"
    (rootfs / "usr/sbin").mkdir(parents=True)
    (rootfs / "usr/sbin/sshd").touch()
    made.add_base("ami-base", rootfs)
    made.add("ami-1", "ami-base").mkdir()
    made.add("ami-2", "ami-1").mkdir()
    return made


def test_chain_ends_with_the_root_filesystem(layers: Layers, tmp_path: Path) -> None:
    assert layers.chain("ami-2") == (layers.content("ami-2"), layers.content("ami-1"), tmp_path / "rootfs")
    assert layers.boots("ami-2")


def test_unknown_image_has_no_content(layers: Layers) -> None:
    assert layers.chain("ami-9") == ()
    assert not layers.boots("ami-9")


def test_copy_has_the_content_of_its_source(layers: Layers) -> None:
    layers.add("ami-copy", "ami-2")
    assert layers.chain("ami-copy") == layers.chain("ami-2")


def test_content_stays_while_another_image_is_built_on_it(layers: Layers) -> None:
    layers.forget("ami-1", in_use=())
    assert layers.content("ami-1").is_dir()
    layers.forget("ami-2", in_use=())
    assert not layers.content("ami-2").exists()
    assert not layers.content("ami-1").exists()


def test_content_stays_while_a_machine_runs_from_it(layers: Layers) -> None:
    content = layers.content("ami-2")
    layers.forget("ami-2", in_use={content})
    assert content.is_dir()
    layers.collect(in_use=())
    assert not content.exists()
