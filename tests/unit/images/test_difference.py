"""What tells two images apart."""

from __future__ import annotations

from images.difference import ValueChange, difference
from images.index import LayerIndex
from tests.fakes.image_index import file, folder, hard_link, image, layer, symbolic_link, whiteout

BASE = layer(file("usr/a", "aaa"), file("usr/b", "bb"), folder("usr"), compressed_bytes=7)


def test_image_is_equal_to_itself() -> None:
    found = difference(image(BASE), image(BASE))
    assert found.is_equal
    assert (found.files, found.packages, found.settings, found.download_bytes, found.shared_layers) == (
        (),
        (),
        (),
        0,
        1,
    )


def test_files_are_compared_as_a_container_sees_them() -> None:
    before = image(BASE, layer(file("app/old"), file("app/same", "s"), file("app/job", "1")))
    after = image(BASE, layer(file("app/same", "s"), file("app/job", "22"), file("app/new"), whiteout("usr/b")))
    found = difference(before, after)
    assert [(each.change, each.path) for each in found.files] == [
        ("changed", "/app/job"),
        ("added", "/app/new"),
        ("removed", "/app/old"),
        ("removed", "/usr/b"),
    ]
    assert not found.is_equal
    assert (found.before.files, found.before.seen_bytes, found.after.files, found.after.seen_bytes) == (5, 8, 4, 7)


def test_host_with_one_image_fetches_the_layers_that_only_the_other_has() -> None:
    before = image(BASE, layer(file("app/x", "1"), compressed_bytes=5), made_by=("COPY a /", "capctl image push"))
    after = image(BASE, layer(file("app/x", "2"), compressed_bytes=6), made_by=("COPY a /", "capctl image push"))
    found = difference(before, after)
    assert (found.shared_layers, found.shared_bytes, found.download_bytes) == (1, 7, 6)
    assert [(each.number, each.made_by, each.compressed_bytes) for each in found.only_before] == [
        (2, "capctl image push", 5)
    ]


def test_layer_that_an_image_has_twice_is_fetched_once() -> None:
    twice = layer(file("app/x"), compressed_bytes=5)
    found = difference(image(BASE), image(BASE, twice, twice))
    assert (len(found.only_after), found.download_bytes) == (2, 5)


def test_other_layers_with_the_same_files_make_no_difference() -> None:
    one, other = image(layer(file("a"), file("b"))), image(layer(file("a")), layer(file("b")))
    found = difference(one, other)
    assert found.is_equal
    assert found.shared_layers == 0


def test_mode_is_compared_of_files_and_of_folders_that_both_have() -> None:
    before = image(layer(folder("d"), file("d/a"), folder("gone")))
    after = image(layer(folder("d", 0o700), file("d/a", mode=0o755), folder("come")))
    assert [(each.change, each.path) for each in difference(before, after).files] == [
        ("changed", "/d"),
        ("changed", "/d/a"),
    ]


def test_file_that_became_a_folder_is_gone_and_what_is_in_the_folder_is_there() -> None:
    found = difference(image(layer(file("d"))), image(layer(folder("d"), file("d/a"))))
    assert [(each.change, each.path) for each in found.files] == [("removed", "/d"), ("added", "/d/a")]


def test_links_are_compared_by_where_they_lead_and_hard_links_by_their_content() -> None:
    before = image(layer(symbolic_link("s", "a"), file("a"), hard_link("h", "a")))
    after = image(layer(symbolic_link("s", "b"), file("a"), file("h")))
    assert [each.path for each in difference(before, after).files] == ["/s"]


def test_settings_are_told_by_name() -> None:
    before = image(BASE, Entrypoint=["python3", "-m", "a b"], Env=["A=1", "B=2"], User="65532", WorkingDir="")
    after = image(
        BASE, Entrypoint=["python3"], Env=["A=1", "B=3=4", "C="], Labels={"x": "y"}, Volumes={"/b": {}, "/a": {}}
    )
    found = difference(before, after)
    assert [(each.name, each.before, each.after) for each in found.settings] == [
        ("entrypoint", "python3 -m 'a b'", "python3"),
        ("env B", "2", "3=4"),
        ("label x", "", "y"),
        ("user", "65532", ""),
        ("volumes", "", "/a, /b"),
    ]
    assert not found.is_equal


def test_packages_are_compared_by_version() -> None:
    def with_packages(*names: str) -> LayerIndex:
        return layer(*(file(f"opt/site/{name}.dist-info/METADATA") for name in names))

    found = difference(image(with_packages("numpy-1", "six-1", "av-3")), image(with_packages("numpy-2", "six-1")))
    assert found.packages == (
        ValueChange(name="av", before="3", after=""),
        ValueChange(name="numpy", before="1", after="2"),
    )
