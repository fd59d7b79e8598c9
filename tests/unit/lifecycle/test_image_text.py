"""What `image explain` prints of an image that has everything."""

import sys
from dataclasses import replace

import pytest

from images.difference import FileState
from lifecycle.cli.image_text import explanation_text, shortened
from lifecycle.cli.image_verify import report_text
from lifecycle.domain.digest import digest_of
from lifecycle.domain.image import ImageRef
from lifecycle.domain.image_difference import PathChange, change_text, sums_text
from lifecycle.domain.image_explanation import explained
from lifecycle.domain.image_report import Rules, report_on
from tests.fakes.image_index import file, image, layer, symbolic_link, whiteout
from tests.golden import assert_golden

REF = ImageRef(repository="registry.example/vision", digest=digest_of(b"image"))
MODEL, CSV = file("app/models/a.onnx", "a" * 5000), file("app/result/a.csv", "c" * 2000)
SEED = image(
    layer(file("usr/lib/libc.so", "l" * 1000), compressed_bytes=400),
    layer(MODEL, compressed_bytes=5000),
    layer(MODEL, CSV, file("app/other/b.onnx", "a" * 5000), file("app/run.py", "r"), compressed_bytes=7100),
    layer(whiteout("app/result"), whiteout("app/other"), compressed_bytes=100),
    layer(file("app/models/a.onnx", "n" * 10)),
    made_by=(
        "",
        "COPY models /app/models # buildkit",
        "COPY . /app # buildkit",
        "/bin/sh -c rm -rf /app/result /app/other",
        "capctl image push",
    ),
    Labels={"org.opencontainers.image.base.digest": digest_of(b"base")},
)


def text(top: int = 10) -> str:
    return explanation_text(explained(REF, SEED, top=top, depth=None), top=top)


def test_explanation_tells_of_each_layer_what_made_it_brought_and_hid() -> None:
    assert_golden("image-explain.txt", text() + "\n")


def test_explanation_tells_what_the_base_left_out_and_where_libraries_lead() -> None:
    link = symbolic_link("opt/site/cv.libs/libavutil-2.so.60", "../av.libs/libavutil-1.so.60")
    labels = {"dev.capctl.left-out": "numpy/f2py/** **/tests/**"}
    shown = explanation_text(explained(REF, image(layer(link), Labels=labels), top=1, depth=1), top=1)
    assert shown.splitlines()[3:5] == [
        "files of packages were left out by 2 patterns, all listed by `-o json`",
        "libraries of /opt/site/cv.libs lead to /opt/site/av.libs",
    ]


def test_explanation_tells_the_python_and_the_runtime_that_jobs_need() -> None:
    made = image(layer(), Labels={"dev.capctl.python": "3.11"})
    run = dict(made.config["config"]) | {
        "Env": ["CAPCTL_RUNTIME_CONTRACT=" + "ab" * 32, "CAPCTL_RUNTIME_MOUNT=/opt/runtime"]
    }
    with_runtime = replace(made, config={**made.config, "config": run})
    shown = explanation_text(explained(REF, with_runtime, top=1, depth=1), top=1)
    needs = "its jobs need the runtime of contract `abababababab` on their AMI, which they see at /opt/runtime"
    assert shown.splitlines()[3:5] == ["its Python is 3.11", needs]
    assert needs in report_text(report_on(REF, with_runtime, Rules()))
    assert "runtime" not in report_text(report_on(REF, made, Rules()))


def test_long_lists_end_with_how_much_more_there_is() -> None:
    assert text(top=1).splitlines()[-1] == "and 3 more, 12.0 kB"


@pytest.mark.parametrize("width", [80, 160])
def test_every_table_fits_a_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    shown = text()
    # The image itself is whole, for people copy it.
    assert max(len(line) for line in shown.splitlines()[1:]) <= width
    assert_golden(f"image-explain-{width}.txt", shown + "\n")


def test_nothing_of_an_empty_image_fails() -> None:
    assert "nothing is wasted" in explanation_text(explained(REF, image(layer()), top=1, depth=1), top=1)


def test_long_instruction_keeps_its_beginning_and_its_end() -> None:
    told = shortened("RUN apt-get update && " + 200 * "x" + " && rm -rf /var/lib/apt/lists")
    assert len(told) <= 100
    assert told.startswith("RUN apt-get update && xx")
    assert told.endswith("xx && rm -rf /var/lib/apt/lists")


def state(size_bytes: int = 3, mode: int = 0o644, kind: str = "file", link: str = "") -> FileState:
    return FileState(kind=kind, size_bytes=size_bytes, mode=mode, sha256="", link=link)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, state(), "3 B"),
        (state(), None, "3 B"),
        (state(), state(2000), "3 B -> 2.0 kB"),
        (state(), state(mode=0o755), "3 B, mode 0644 -> 0755"),
        (state(kind="folder"), state(kind="folder", mode=0o755), "mode 0644 -> 0755"),
        (state(kind="symlink", link="a"), state(kind="symlink", link="b"), "symlink a -> symlink b"),
        (state(kind="symlink", link="a"), state(), "symlink -> file"),
        (None, state(kind="other"), "other"),
    ],
)
def test_change_of_a_file_is_told_in_words(before: FileState | None, after: FileState | None, told: str) -> None:
    assert change_text(PathChange(path="/a", before=before, after=after)) == told


def test_changes_are_summed_in_words() -> None:
    changes = (PathChange(path="/a", before=None, after=state()), PathChange(path="/b", before=state(), after=None))
    assert (sums_text(changes), sums_text(())) == ("1 added, 1 removed", "")
