"""What an image costs and why."""

from __future__ import annotations

import pytest

from images.explain import FileCost, LibraryLink, Taken, WastedFile, explain
from images.file_system import file_system
from images.folders import largest_folders, main_folders, tree_of
from images.index import FileEntry
from images.instructions import readable
from images.packages import listed_names, package_costs
from tests.fakes.image_index import file, hard_link, image, layer, symbolic_link, whiteout

HASH = "0123456789ab" + "c" * 52


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("/bin/sh -c #(nop) COPY dir:" + HASH + " in /opt/models ", "COPY dir:0123456789ab in /opt/models"),
        ("/bin/sh -c #(nop)  ADD file:" + HASH + " in / ", "ADD file:0123456789ab in /"),
        ("COPY src /app/src # buildkit", "COPY src /app/src"),
        ("/bin/sh -c pip install torch", "RUN pip install torch"),
        ("RUN /bin/sh -c pip install torch # buildkit", "RUN pip install torch"),
        ("RUN |2 A=b c C=d /bin/sh -c pip install torch # buildkit", "RUN pip install torch"),
        ("|1 A=b /bin/sh -c pip install torch", "RUN pip install torch"),
        ("/bin/bash -o pipefail -c a |\tb", "RUN a | b"),
        ("RUN /bin/bash -euo pipefail -c a | b # buildkit", "RUN a | b"),
        ("RUN set -e;   \tapt-get install x # buildkit", "RUN set -e; apt-get install x"),
        ("WORKDIR /app", "WORKDIR /app"),
        ("capctl image push", "capctl image push"),
        ("", ""),
    ],
)
def test_instructions_are_told_as_their_author_wrote_them(written: str, told: str) -> None:
    assert readable(written) == told


def sizes(**files: int) -> list[tuple[str, int, int]]:
    return [(path.replace("__", "/"), size_bytes, 1) for path, size_bytes in files.items()]


def test_folders_are_listed_as_deep_as_their_bytes_are() -> None:
    tree = tree_of(sizes(opt__site__torch__lib__a=700, opt__site__numpy__b=200, etc__c=1, opt__site__torch__d=100))
    assert [each.path for each in largest_folders(tree, top=3)] == [
        "/opt/site",
        "/opt/site/torch",
        "/opt/site/torch/lib",
    ]
    assert [each.path for each in largest_folders(tree, top=9)] == [
        "/etc",
        "/opt/site",
        "/opt/site/numpy",
        "/opt/site/torch",
        "/opt/site/torch/lib",
    ]


def test_folders_can_be_cut_at_a_depth() -> None:
    tree = tree_of(sizes(opt__site__torch__a=7, etc__c=1))
    assert [(each.path, each.size_bytes) for each in largest_folders(tree, top=9, depth=1)] == [
        ("/etc", 1),
        ("/opt", 7),
    ]
    assert [each.path for each in largest_folders(tree, top=9, depth=2)] == ["/etc", "/opt/site"]


def test_folder_tells_how_much_each_layer_brought() -> None:
    tree = tree_of([("a/b", 1, 1), ("a/c", 5, 2), ("a/d", 0, 3)])
    (found,) = largest_folders(tree, top=9)
    assert (found.size_bytes, found.files, found.layers) == (6, 3, ((2, 5), (1, 1)))


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"w__models__a": 9}, ["/w/models"]),
        ({"w__models__a": 9, "w__models__deep__b": 8}, ["/w/models"]),
        ({"w__models__a__b": 95, "w__models__c": 5}, ["/w/models"]),
        ({"w__git__a": 5, "w__src__b": 4, "w__x": 1}, ["/w/git", "/w/src"]),
        ({"usr__a": 3, "opt__site__b": 3, "etc__c": 3, "bin__d": 1}, ["/etc", "/opt/site", "/usr"]),
        ({"usr__lib__a": 9, "root__cache__b": 1}, ["/usr/lib", "/root/cache"]),
        ({"s__np__a": 60, "s__libs__b": 39, "s__np_info__c": 1}, ["/s/np", "/s/libs"]),
        ({"a": 1}, ["/"]),
        ({"a": 0}, []),
    ],
)
def test_layer_is_told_by_the_folders_that_hold_most_of_it(files: dict[str, int], told: list[str]) -> None:
    assert [each.path for each in main_folders(tree_of(sizes(**files)))] == told


SHELL = "/bin/sh -c "


def test_layers_tell_what_made_them_and_what_they_hide_of_lower_ones() -> None:
    index = image(
        layer(file("m/a.bin", "a" * 50), file("m/b.bin", "b" * 30), compressed_bytes=40),
        layer(file("m/a.bin", "a" * 50, mode=0o755)),
        layer(whiteout("m/b.bin")),
        made_by=("COPY m /m", SHELL + "chmod -R 755 /m", SHELL + "rm /m/b.bin"),
    )
    found = explain(index)
    copied, again, removed = found.layers
    assert [each.made_by for each in found.layers] == ["COPY m /m", "RUN chmod -R 755 /m", "RUN rm /m/b.bin"]
    assert (copied.unpacked_bytes, copied.compressed_bytes, copied.files, copied.hidden_bytes) == (80, 40, 2, 80)
    assert [each.path for each in copied.main] == ["/m"]
    assert again.taken == (Taken(layer=1, fate="repeated", size_bytes=50),)
    assert removed.taken == (Taken(layer=1, fate="deleted", size_bytes=30),)
    assert (found.unpacked_bytes, found.seen_bytes, found.wasted_bytes) == (130, 50, 80)
    assert [(each.path, each.why, each.layer, each.by) for each in found.wasted] == [
        ("/m/a.bin", "repeated", 1, 2),
        ("/m/b.bin", "deleted", 1, 3),
    ]


def test_whiteouts_are_no_files() -> None:
    found = explain(image(layer(file("a")), layer(whiteout("a"))))
    assert [each.files for each in found.layers] == [1, 0]


def test_content_that_a_lower_layer_has_elsewhere_is_waste_and_twice_in_one_layer_is_not() -> None:
    found = explain(image(layer(file("a", "same"), file("b", "same")), layer(file("c", "same"), file("d", ""))))
    assert found.wasted == (WastedFile(path="/c", size_bytes=4, layer=2, why="copied", by=1, of="/a"),)
    assert [each.copied_bytes for each in found.layers] == [0, 4]


def test_content_that_moved_is_wasted_once() -> None:
    found = explain(image(layer(file("a", "same")), layer(whiteout("a"), file("b", "same"))))
    assert [(each.path, each.why) for each in found.wasted] == [("/a", "deleted")]


def test_hard_link_wastes_nothing() -> None:
    found = explain(image(layer(file("a", "same"), hard_link("b", "a"))))
    assert (found.wasted, found.seen_bytes) == ((), 4)


def test_models_are_found_by_content_and_by_suffix_also_where_no_path_leads_to_them() -> None:
    index = image(
        layer(file("m/a.pth.tar", "aaa", flags=("model:torch",)), file("m/b.onnx", "bb"), file("c.txt")),
        layer(whiteout("m/b.onnx"), symbolic_link("m/d.onnx", "b.onnx")),
    )
    assert [(each.path, each.format, each.suffix, each.layer, each.is_seen) for each in explain(index).models] == [
        ("/m/a.pth.tar", "torch", "", 1, True),
        ("/m/b.onnx", "", ".onnx", 1, False),
    ]


def test_largest_files_are_those_that_are_seen() -> None:
    index = image(layer(file("a", "a" * 9), file("b", "b" * 8), file("c", "c" * 7)), layer(whiteout("a")))
    assert explain(index, top=1).largest == (FileCost(path="/b", size_bytes=8, layer=1),)


def test_base_and_code_are_told_apart_in_an_image_that_capctl_pushed() -> None:
    labels = {"org.opencontainers.image.base.digest": "sha256:base"}
    layers = layer(file("a")), layer(file("app/b"))
    found = explain(image(*layers, made_by=("COPY x", "capctl image push"), Labels=labels))
    assert ([each.origin for each in found.layers], found.base) == (["base", "code"], "sha256:base")
    assert [each.origin for each in explain(image(*layers, made_by=("COPY x", "COPY y"))).layers] == ["", ""]


def record(path: str, *listed: str) -> FileEntry:
    owns = listed_names("\n".join(f"{each},sha256=x,1" for each in listed).encode())
    return file(f"{path}/RECORD", "r", owns=owns)


def test_record_names_folders_at_most_three_deep_and_modules() -> None:
    lines = (
        b'six.py,sha256=x,1\ncv2/__init__.py,,\n"nvidia/cublas/lib/sub/a,b.so",,\n../../bin/f2py,,\n/etc/x,,\n\n'
        b"__pycache__/six.cpython-312.pyc,,\n"
    )
    assert listed_names(lines) == ("cv2", "nvidia/cublas/lib", "six.py")


def test_bytes_are_those_of_the_package_whose_record_lists_their_folder() -> None:
    entries = (
        file("opt/site/opencv_python-4.1.dist-info/METADATA", "m"),
        record("opt/site/opencv_python-4.1.dist-info", "cv2/__init__.py", "opencv_python-4.1.dist-info/METADATA"),
        file("opt/site/cv2/data/deep/a.so", "o" * 100),
        *(
            part
            for name, size_bytes in (("cublas", 40), ("cudnn", 50))
            for part in (
                file(f"opt/site/nvidia_{name}_cu12-9.dist-info/METADATA", "m"),
                record(f"opt/site/nvidia_{name}_cu12-9.dist-info", "nvidia/__init__.py", f"nvidia/{name}/lib/a.so"),
                file(f"opt/site/nvidia/{name}/lib/a.so", name * size_bytes),
            )
        ),
        file("opt/site/six-1.dist-info/METADATA", "m"),
        record("opt/site/six-1.dist-info", "six.py"),
        file("opt/site/six.py", "123"),
        file("opt/site/__pycache__/six.cpython-312.pyc", "4567"),
        file("opt/site/of_nobody/a", "?" * 1000),
    )
    found = package_costs(file_system([layer(*entries)]).placed)
    assert [(each.name, each.version, each.size_bytes, each.files, each.is_recorded) for each in found] == [
        ("nvidia-cudnn-cu12", "9", 252, 3, True),
        ("nvidia-cublas-cu12", "9", 242, 3, True),
        ("opencv-python", "4.1", 102, 3, True),
        ("six", "1", 9, 4, True),
    ]
    assert {each.folder for each in found} == {"/opt/site"}


def test_package_without_a_record_has_what_bears_its_name() -> None:
    entries = (
        file("usr/lib/python3/dist-packages/numpy-2.dist-info/METADATA", "m"),
        file("usr/lib/python3/dist-packages/numpy/a.so", "n" * 10),
        file("usr/lib/python3/dist-packages/numpy.libs/b.so", "b" * 20),
        file("usr/lib/python3/dist-packages/numpyro/c.so", "c" * 30),
    )
    (found,) = package_costs(file_system([layer(*entries)]).placed)
    assert (found.size_bytes, found.files, found.is_recorded, found.layers) == (31, 3, False, (1,))


def test_links_from_one_packages_libraries_to_anothers_are_told_once_for_each_folder() -> None:
    found = explain(
        image(
            layer(
                symbolic_link("opt/site/cv.libs/libavutil-2.so.60", "../av.libs/libavutil-1.so.60"),
                symbolic_link("opt/site/cv.libs/libavcodec-2.so.62", "../av.libs/libavcodec-1.so.62"),
                symbolic_link("opt/site/cv.libs/libpng.so", "libpng.so.16"),
                symbolic_link("usr/lib/libz.so", "../lib64/libz.so"),
            ),
            Labels={"dev.capctl.left-out": "**/tests/** **/*.h", "dev.capctl.kept": "a/tests/b"},
        )
    )
    assert found.library_links == (LibraryLink(folder="/opt/site/cv.libs", to="/opt/site/av.libs"),)
    assert (found.left_out, found.kept) == (("**/tests/**", "**/*.h"), ("a/tests/b",))
