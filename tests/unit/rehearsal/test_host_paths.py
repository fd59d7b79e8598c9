"""What a container sees of its host's file system, which is the overlay of an AMI's layers."""

from pathlib import Path

import pytest

from lifecycle.rehearsal.emulator.host_paths import MissingHostPath, bind_source, versions


def layer(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    root.mkdir(parents=True, exist_ok=True)
    return root


def test_read_only_path_in_one_layer_is_used_in_place(tmp_path: Path) -> None:
    top, base = layer(tmp_path / "top", opt__models__a="a"), layer(tmp_path / "base", etc__os="debian")
    found = bind_source((top, base), "/opt/models", read_only=True, scratch=tmp_path / "disk")
    assert found == top / "opt/models"
    assert not (tmp_path / "disk").exists()


def test_path_in_two_layers_is_merged_and_the_top_wins(tmp_path: Path) -> None:
    top, base = layer(tmp_path / "top", opt__m__a="new"), layer(tmp_path / "base", opt__m__a="old", opt__m__b="b")
    found = bind_source((top, base), "/opt/m", read_only=True, scratch=tmp_path / "disk")
    assert {path.name: path.read_text() for path in found.iterdir()} == {"a": "new", "b": "b"}


def test_writes_never_reach_the_image(tmp_path: Path) -> None:
    top = layer(tmp_path / "top", opt__m__a="a")
    found = bind_source((top,), "/opt/m", read_only=False, scratch=tmp_path / "disk")
    (found / "a").write_text("changed")
    assert (top / "opt/m/a").read_text() == "a"
    again = bind_source((top,), "/opt/m", read_only=False, scratch=tmp_path / "disk")
    assert (again / "a").read_text() == "changed"


def test_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingHostPath, match="/opt/none"):
        bind_source((layer(tmp_path / "top"),), "/opt/none", read_only=True, scratch=tmp_path / "disk")


def test_symbolic_links_stay_inside_the_root(tmp_path: Path) -> None:
    base = layer(tmp_path / "base", data__models__a="a")
    (base / "opt").mkdir()
    (base / "opt/models").symlink_to("/data/models")
    (base / "opt/up").symlink_to("../../../data")
    (base / "loop").symlink_to("loop")
    assert versions((base,), "/opt/models/a") == [base / "data/models/a"]
    assert versions((base,), "/opt/up/models") == [base / "data/models"]
    assert versions((base,), "/loop") == []


def test_file_over_directory_hides_it(tmp_path: Path) -> None:
    top, base = layer(tmp_path / "top", opt__m="file"), layer(tmp_path / "base", opt__m__a="a")
    assert versions((top, base), "/opt/m") == [top / "opt/m"]
    assert versions((top, base), "/opt/m/a") == []
