from __future__ import annotations

from images.index import FileEntry, ImageIndex, LayerIndex
from images.overlay import duplicates, overlay


def file(path: str, content: str = "") -> FileEntry:
    return FileEntry(path=path, kind="file", size_bytes=len(content), mode=0o644, sha256=content)


def image(*layers: tuple[FileEntry, ...]) -> ImageIndex:
    made = (
        LayerIndex(digest=f"sha256:{number}", compressed_bytes=0, unpacked_bytes=0, entries=entries)
        for number, entries in enumerate(layers)
    )
    return ImageIndex(digest="", media_type="", config={}, layers=tuple(made))


def hidden(*layers: tuple[FileEntry, ...]) -> list[str]:
    return sorted(entry.path for _, entry in overlay(image(*layers))[1])


LOWER = (file("a/x"), file("a/b/y"), file("ab"))


def test_replaced_files_are_hidden() -> None:
    assert hidden(LOWER, (file("a/x"),)) == ["a/x"]
    assert hidden(LOWER, (FileEntry(path="ab", kind="symlink", size_bytes=0, mode=0, link="a/x"),)) == ["ab"]


def test_folders_replace_nothing() -> None:
    assert hidden(LOWER, (FileEntry(path="a", kind="folder", size_bytes=0, mode=0o755),)) == []


def test_whiteouts_hide_a_file_or_all_of_a_folder() -> None:
    assert hidden(LOWER, (file("a/.wh.x"),)) == ["a/x"]
    assert hidden(LOWER, (file(".wh.a"),)) == ["a/b/y", "a/x"]
    assert hidden(LOWER, (file(".wh.a/b"),)) == []


def test_opaque_folders_hide_what_lower_layers_have_in_them_only() -> None:
    upper = (file("a/new"), file("a/.wh..wh..opq"))
    seen, gone = overlay(image(LOWER, upper))
    assert sorted(seen) == ["a/new", "ab"]
    assert sorted(entry.path for _, entry in gone) == ["a/b/y", "a/x"]
    assert hidden(LOWER, (file(".wh..wh..opq"),)) == ["a/b/y", "a/x", "ab"]


def test_file_in_place_of_a_folder_hides_all_that_was_in_it() -> None:
    assert hidden(LOWER, (file("a"),)) == ["a/b/y", "a/x"]


def test_file_that_comes_back_hides_each_earlier_one_once() -> None:
    assert hidden(LOWER, (file(".wh.a"),), LOWER, (file("a/x"),)) == ["a/b/y", "a/x", "a/x", "ab"]


def test_copies_count_across_layers_and_once_for_each_layer() -> None:
    first = (file("x", "same"), file("x2", "same"))
    found = duplicates(image(first, (file("y", "same"), file("y2", "same")), (file("z", "same"), file("z2", "other"))))
    assert [(copy[1].path, original[1].path) for copy, original in found] == [("z", "x"), ("y", "x")]


def test_copies_that_are_hidden_or_empty_do_not_count() -> None:
    assert duplicates(image((file("x", "same"), file("e")), (file("x", "same"), file("e2")))) == []
    assert duplicates(image((file("x", "same"),), (file(".wh.x"), file("y", "same")))) == []
