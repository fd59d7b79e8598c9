"""Command lines that cannot be meant end in 64, names that are no UTF-8 are names, and results are printed by one writer."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer import cli, commands
from analyzer.commands.output import write_out
from analyzer.errors import DependencyDown, ExitCode
from tests.fakes.analyses import analysis

LONG, DIGITS = "x" * 5000, "9" * 5000


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["run", "--video", LONG, "--out", "out"], "path-invalid"),
        (["run", "--video", "a", "--out", f"file:///{LONG}"], "path-invalid"),
        (["run", "--video", "a", "--out", "b" * 256], "path-invalid"),
        (["run", "--video", "a", "--out", "out", "--model-root", LONG], "path-invalid"),
        (["run", "--video", "a", "--out", "out", "--age-model", LONG], "path-invalid"),
        (["run", "--video", "s3://b/\udce9", "--out", "out"], "location-invalid"),
        (["models", "verify", "--model-root", LONG], "path-invalid"),
        (["report", LONG, "--html", "page.html"], "path-invalid"),
        (["report", ".", "--html", "page.html", "--video", LONG], "path-invalid"),
        (["search", "--folder", ".", "--like", LONG], "path-invalid"),
        (["search", "--folder", ".", "--like", "a/1", "--limit", DIGITS], "limit-invalid"),
        (["search", "--folder", ".", "--like", "a/1", "--limit", "0"], "limit-invalid"),
        (["serve", "--results", "out", "--port", "99999"], "port-invalid"),
        (["serve", "--results", "out", "--allow-path", "absent"], "allow-path-invalid"),
        (["search", "--database", "sqlite:///x.db", "--like", "a/1"], "database-url-invalid"),
        (["database", "index", "--database", "x", "--min-rows", DIGITS], "min-rows-invalid"),
        *(
            ([*command, target], code)
            for command in (["report", ".", "--html"], ["export", ".", "--format", "rekognition", "--out"])
            for target, code in (
                (".", "output-is-folder"),
                ("/", "output-is-folder"),
                ("..", "output-is-folder"),
                ("", "path-invalid"),
                (LONG, "path-invalid"),
                ("nope/page.html", "output-folder-missing"),
                ("result.json", "output-is-input"),
                ("link", "output-is-input"),
                ("analysis_tracks.jsonl", "output-is-input"),
                ("thumbnails/new.jpg", "output-is-input"),
            )
        ),
        (["report", ".", "--video", "clip.mp4", "--html", "../here/clip.mp4"], "output-is-input"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_written(
    arguments: list[str],
    code: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    result = json.dumps(analysis())
    (here / "result.json").write_text(result)
    (here / "link").symlink_to("result.json")
    assert cli.main(arguments) == ExitCode.USAGE
    streams = capsys.readouterr()
    assert (streams.err.splitlines()[0].split(":")[0], streams.out) == (f"error[{code}]", "")
    assert sorted(each.name for each in here.iterdir()) == ["link", "result.json"]
    assert (here / "result.json").read_text() == result


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "--video", "a", "--out", "b", "--fsp", "3"], "hint: See `analyzer run --help`"),
        (["models", "verify", "--rot", "x"], "hint: See `analyzer models verify --help`"),
        (["--fast", "models", "verify"], "hint: See `analyzer --help`"),
        (["report", ".", "--html", "page.html", "--video", "missing.mp4"], "hint: Check the path"),
    ],
)
def test_a_hint_fits_what_was_typed(
    arguments: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "result.json").write_text(json.dumps(analysis()))
    assert cli.main(arguments) in (ExitCode.USAGE, ExitCode.INPUT)
    assert capsys.readouterr().err.splitlines()[1] == told


def test_any_name_of_a_file_is_analysed(
    make_clip: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(frame_count=2).rename("über-caf\udce9.mp4")
    run = ["run", "--video", "über-caf\udce9.mp4", "--out", "ou\udce9", "--backend", "null", "--model-root", "."]
    assert cli.main(run) == ExitCode.OK
    assert re.fullmatch(
        r"local--ber-caf--mp4-[0-9a-f]{8}", json.loads(Path("ou\udce9/result.json").read_bytes())["session_id"]
    )
    (job,) = Path("ou\udce9/analysis_jobs.jsonl").read_text().splitlines()
    assert json.loads(job)["video_url"] == r"über-caf\udce9.mp4"
    assert cli.main(["report", "ou\udce9", "--html", "pag\udce9.html"]) == ExitCode.OK
    told = capsys.readouterr().out
    assert told.splitlines()[-1].startswith(r"pag\udce9.html: ")
    assert '"step":"models","detail":"none mounted; age and gender need a model set"' in told
    assert cli.main([*run[:-1], "absent"]) == ExitCode.MISMATCH
    assert "error[model-set-absent]: `--model-root` `absent` is no folder" in capsys.readouterr().err


def test_another_video_of_the_same_name_does_not_replace_a_result(
    make_clip: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b"):
        Path(folder).mkdir()
    shutil.copy(make_clip(frame_count=2), "a/clip.mp4")
    shutil.copy("a/clip.mp4", "b/clip.mp4")
    run = ["run", "--out", "out", "--backend", "null", "--video"]
    assert [cli.main([*run, video]) for video in ("a/clip.mp4", "b/clip.mp4")] == [ExitCode.OK, ExitCode.USAGE]
    assert "error[place-taken]: " in capsys.readouterr().err
    assert cli.main([*run, f"file://{tmp_path}/b/../a/clip.mp4"]) == ExitCode.OK, "the same video, however it is named"


def test_a_result_goes_nowhere_where_nobody_reads_it_and_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        write_out("first")
        write_out("second")
    with Path("/dev/full").open("w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(DependencyDown, match="No space left"):
            write_out("first")


def test_closed_output_ends_no_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "result.json").write_text(json.dumps(analysis()))
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["export", str(tmp_path), "--format", "rekognition"]) == ExitCode.OK
    sys.stdout.close()


def test_commands_print_through_one_writer() -> None:
    folder = Path(commands.__path__[0])
    printing = {each.name for each in folder.glob("*.py") if re.search(r"\bprint\(|sys\.stdout", each.read_text())}
    assert printing == {"output.py"}


@pytest.mark.parametrize(
    ("package", "extra", "command"),
    [
        ("numpy", "analyzer", ["run", "--video", "a.mp4", "--out", "out"]),
        ("uvicorn", "analyzer-serve", ["serve", "--results", "out"]),
    ],
)
def test_a_package_that_is_not_installed_is_named_with_the_extra_that_brings_it(
    package: str, extra: str, command: list[str], tmp_path: Path
) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; from analyzer.cli import main; sys.exit(main(sys.argv[1:]))"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-c", code, *command], check=False, cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr.count(f"'.[{extra}]'")) == (ExitCode.MISMATCH, 1)
    assert ended.stderr.startswith(f"error[package-missing]: The Python package `{package}` ")
    assert '"bug"' not in ended.stdout
