"""What a container sees of the layers of its image."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from images.file_system import file_system
from images.index import WHITEOUT, FileEntry, LayerIndex
from tests.fakes.image_index import file, folder, hard_link, layer, opaque, symbolic_link, whiteout


def seen(*layers: LayerIndex) -> dict[str, int]:
    """The layer of every path but folders."""
    return {path: each.layer for path, each in file_system(layers).placed.items() if each.kind != "folder"}


def hidden(*layers: LayerIndex) -> list[tuple[int, str, str, int]]:
    return [(each.layer, each.entry.path, each.fate, each.by) for each in file_system(layers).hidden]


def test_upper_layers_add_and_replace() -> None:
    layers = layer(file("a"), file("b")), layer(file("b", "y"), file("c"))
    assert seen(*layers) == {"a": 0, "b": 1, "c": 1}
    assert hidden(*layers) == [(0, "b", "replaced", 1)]


def test_same_content_again_is_told_apart_from_another_one() -> None:
    below, above = layer(file("a", "x" * 9)), layer(file("a", "x" * 9, mode=0o755))
    assert hidden(below, above) == [(0, "a", "repeated", 1)]
    assert file_system([below, above]).placed["a"].mode == 0o755


@pytest.mark.parametrize("path", ["d/a", "d"])
def test_whiteout_deletes_a_file_or_a_folder_with_all_in_it(path: str) -> None:
    layers = layer(folder("d"), file("d/a")), layer(whiteout(path))
    assert seen(*layers) == {}
    assert hidden(*layers) == [(0, "d/a", "deleted", 1)]


def test_opaque_folder_keeps_only_what_its_own_layer_brings_in_whatever_order() -> None:
    below, inside = layer(file("d/a"), file("d/s/b")), (folder("d"), file("d/new"), opaque("d"))
    for entries in (inside, inside[::-1]):
        assert seen(below, layer(*entries)) == {"d/new": 1}


def test_whiteout_does_not_touch_its_own_layer() -> None:
    assert seen(layer(file("a")), layer(file("a", "y"), whiteout("a"))) == {"a": 1}


@pytest.mark.parametrize("path", ["a", "d/a"])
def test_whiteout_of_nothing_is_nothing(path: str) -> None:
    assert seen(layer(file("b")), layer(whiteout(path), opaque("e"))) == {"b": 0}


def test_leftovers_of_older_engines_are_no_files_and_delete_nothing() -> None:
    assert seen(layer(file("a"), file(".wh.plnk")), layer(file(".wh..wh.plnk"), file(".wh..wh.aufs"))) == {"a": 0}


def test_root_can_be_emptied() -> None:
    assert seen(layer(file("a"), file("d/b")), layer(file(".wh..wh..opq"), file("c"))) == {"c": 1}


def test_file_over_a_folder_replaces_all_in_it_and_the_other_way_round() -> None:
    with_folder, with_file = layer(folder("d"), file("d/a"), file("d/b")), layer(file("d", "file"))
    assert seen(with_folder, with_file) == {"d": 1}
    assert hidden(with_folder, with_file) == [(0, "d/a", "replaced", 1), (0, "d/b", "replaced", 1)]
    assert seen(with_file, with_folder) == {"d/a": 1, "d/b": 1}
    assert seen(with_file, layer(file("d/a"))) == {"d/a": 1}


def test_folder_over_a_folder_keeps_what_is_in_it_and_takes_the_mode() -> None:
    found = file_system([layer(folder("d"), file("d/a")), layer(folder("d", mode=0o700))])
    assert (found.placed["d"].mode, found.placed["d"].layer) == (0o700, 1)
    assert "d/a" in found.placed


def test_content_of_hard_links_counts_once_and_lives_as_long_as_one_of_them() -> None:
    layers = layer(file("a", "123"), hard_link("b", "a"), hard_link("c", "b")), layer(whiteout("a"))
    first = file_system(layers[:1]).placed
    assert [(each.size_bytes, each.own_bytes) for each in first.values()] == [(3, 3), (3, 0), (3, 0)]
    found = file_system(layers)
    assert found.hidden == ()
    assert [(path, each.kind, each.own_bytes, each.layer) for path, each in found.placed.items()] == [
        ("b", "file", 3, 0),
        ("c", "hardlink", 0, 0),
    ]
    assert hidden(*layers, layer(whiteout("b"), whiteout("c"))) == [(0, "a", "deleted", 2)]


def test_hard_link_to_nothing_has_no_content() -> None:
    assert file_system([layer(hard_link("b", "a"))]).placed["b"].size_bytes == 0


def test_link_over_its_own_target_keeps_the_content() -> None:
    found = file_system([layer(file("a", "123"), hard_link("a", "a"))])
    assert (found.placed["a"].own_bytes, found.hidden) == (3, ())


@pytest.mark.parametrize("link", ["usr/bin", "/usr/bin", "../usr/./bin", "opt/../usr/bin"])
def test_path_through_a_symbolic_link_lies_where_that_leads(link: str) -> None:
    below = layer(file("usr/bin/a"), symbolic_link("bin", link))
    assert seen(below, layer(file("bin/b"), whiteout("bin/a"))) == {"bin": 0, "usr/bin/b": 1}


def test_folders_may_be_as_deep_as_a_path_can_be_long() -> None:
    path = "/".join("a" * 2000)
    assert seen(layer(file(path))) == {path: 0}
    assert hidden(layer(file(path)), layer(whiteout("a"))) == [(0, path, "deleted", 1)]


def test_link_in_a_circle_ends() -> None:
    assert "a/b" in seen(layer(symbolic_link("a", "a")), layer(file("a/b")))


@pytest.mark.parametrize(
    ("path", "real"),
    [("app/job.py", "app/job.py"), ("app/up/etc", "etc"), ("run/x", "var/run/x"), ("app/../..", ""), ("a/round", "")],
)
def test_path_leads_where_its_links_do(path: str, real: str) -> None:
    links = (("app/up", ".."), ("run", "/var/run"), ("a/round", "round"))
    files = file_system((layer(file("app/job.py", ""), *(symbolic_link(*each) for each in links)),))
    assert files.leads_to(path) == real


def test_symbolic_link_is_replaced_by_a_folder_and_not_followed() -> None:
    below = layer(file("usr/a"), symbolic_link("bin", "usr"))
    assert seen(below, layer(folder("bin"), file("bin/b"))) == {"bin/b": 1, "usr/a": 0}


NAMES = st.sampled_from("abc")
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
CONTENTS = st.sampled_from(["", "1", "22", "333"])
ENTRIES = st.one_of(
    st.builds(file, PATHS, CONTENTS, st.sampled_from([0o644, 0o755])),
    st.builds(folder, PATHS, st.sampled_from([0o755, 0o700])),
    st.builds(whiteout, PATHS),
    st.builds(opaque, PATHS),
    st.builds(hard_link, PATHS, PATHS),
)


def model(layers: list[list[FileEntry]]) -> dict[str, int]:
    """The size of every path but folders, by plain lists of paths."""
    sizes: dict[str, int] = {}
    kinds: dict[str, str] = {}

    def remove(path: str, *, itself: bool) -> None:
        for each in list(kinds):
            if each.startswith(f"{path}/") or (itself and each == path):
                del kinds[each], sizes[each]

    for entries in layers:
        for entry in entries:
            above, _, name = entry.path.rpartition("/")
            if name == ".wh..wh..opq":
                if kinds.get(above) == "folder":
                    remove(above, itself=False)
            elif name.startswith(WHITEOUT):
                remove(f"{above}/{name.removeprefix(WHITEOUT)}".lstrip("/"), itself=True)
        for entry in entries:
            if entry.path.rpartition("/")[2].startswith(WHITEOUT):
                continue
            pieces = entry.path.split("/")
            for count in range(1, len(pieces)):
                parent = "/".join(pieces[:count])
                if kinds.get(parent) != "folder":
                    kinds[parent], sizes[parent] = "folder", 0
            size = sizes.get(entry.link, 0) if entry.kind == "hardlink" else entry.size_bytes
            if not (entry.kind == "folder" and kinds.get(entry.path) == "folder"):
                remove(entry.path, itself=True)
            kinds[entry.path], sizes[entry.path] = entry.kind, size
    return {path: sizes[path] for path, kind in kinds.items() if kind != "folder"}


@settings(max_examples=300)
@given(st.lists(st.lists(ENTRIES, max_size=8), max_size=4))
def test_file_system_is_that_of_a_plain_model_and_no_byte_is_lost(drawn: list[list[FileEntry]]) -> None:
    layers = [layer(*entries) for entries in drawn]
    found = file_system(layers)
    assert {path: each.size_bytes for path, each in found.placed.items() if each.kind != "folder"} == model(drawn)
    assert all(each.own_bytes == each.size_bytes for each in found.placed.values() if each.kind == "file")
    held = sum(each.own_bytes for each in found.placed.values()) + sum(each.entry.size_bytes for each in found.hidden)
    assert held == sum(each.unpacked_bytes for each in layers)
    assert list(found.placed) == sorted(found.placed)
