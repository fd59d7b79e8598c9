"""Commands that read a published result: `export` in another's shape, `report` as a page."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from analyzer.commands.arguments import output_file
from analyzer.commands.output import write_out
from analyzer.contract import ExitCode, Location, local_path, printable
from analyzer.errors import RequestInvalid
from analyzer.published import read_result

FILM_MB_DEFAULT = 24
# Beyond this, browsers refuse to open the page or run out of memory.
FILM_MB_MAX = 200


def add_result_commands(commands: Any) -> None:
    """Add them to the subparsers of the command line."""
    export = commands.add_parser("export", help="write a result in the shape of another service")
    export.add_argument("result", metavar="RESULT", help="result.json, or the folder that it is in")
    export.add_argument("--format", required=True, choices=("rekognition",), help="GetPersonTracking's answer")
    export.add_argument("--out", metavar="FILE", help="default: standard output")
    export.set_defaults(command=_export)

    report = commands.add_parser("report", help="make a page that shows a result in a browser")
    report.add_argument("result", metavar="RESULT", help="result.json, or the folder that it is in")
    report.add_argument("--html", required=True, metavar="FILE", help="the page: one file that reads no other")
    report.add_argument("--video", metavar="FILE", help="the analysed video; the page then holds a small copy of it")
    report.add_argument(
        "--video-mb",
        type=int,
        default=FILM_MB_DEFAULT,
        metavar="MB",
        help=f"limit of that copy (default: {FILM_MB_DEFAULT})",
    )
    report.set_defaults(command=_report)


def _export(options: argparse.Namespace) -> int:
    from analyzer.rekognition import to_rekognition

    published = read_result(local_path(options.result, name="RESULT"))
    out = None
    if options.out is not None:
        out = output_file(options.out, name="`--out`", inputs=published.own_files)
    with published.well_formed():
        text = json.dumps(to_rekognition(published.document), indent=1, allow_nan=False)
    if out is None:
        write_out(text)
    else:
        _write(out, f"{text}\n".encode())
    return ExitCode.OK


def _report(options: argparse.Namespace) -> int:
    from analyzer.report.data import page_data
    from analyzer.report.page import render
    from analyzer.transfer import identify

    if not 1 <= options.video_mb <= FILM_MB_MAX:
        what = f"`--video-mb` is {options.video_mb}, expected 1 to {FILM_MB_MAX}"
        raise RequestInvalid("video-limit-invalid", what, hint=f"`{FILM_MB_DEFAULT}` suits videos of up to an hour")
    published = read_result(local_path(options.result, name="RESULT"))
    video = [local_path(options.video, name="`--video`")] if options.video else []
    html = output_file(options.html, name="`--html`", inputs=[*published.own_files, *video])
    for each in video:
        identify(Location(url=printable(options.video), path=each))
    with published.well_formed():
        data = page_data(published)
        size_bytes = int(data["video"]["size_bytes"])
    film = None
    if options.video:
        film, data["film"] = _film(options, size_bytes, data)
    with published.well_formed():
        page = render(data, film)
    _write(html, page)
    write_out(_sentence(options.html, page, data))
    return ExitCode.OK


def _film(options: argparse.Namespace, size_bytes: int, data: dict[str, Any]) -> tuple[bytes | None, dict[str, Any]]:
    """The copy and what the page says of it."""
    from analyzer.progress import Progress
    from analyzer.report.proxy import make_film

    progress = Progress(sys.stderr, session_id=data["session_id"])
    progress.step("film", options.video)
    limit_bytes = options.video_mb * 1_000_000
    try:
        film = make_film(
            Path(options.video),
            size_bytes=size_bytes,
            duration_ms=data["duration"],
            limit_bytes=limit_bytes,
            on_decoded=progress.percent,
        )
    finally:
        progress.end_line()
    if film is None:
        return None, {"refused": f"No watchable copy of it fits into {options.video_mb} MB; allow more by `--video-mb`"}
    told = {"width": film.width, "height": film.height, "fps": film.quality.fps, "bytes": len(film.content)}
    return film.content, told


def _sentence(path: str, page: bytes, data: dict[str, Any]) -> str:
    film = data.get("film")
    words = [f"{path}: {_megabytes(len(page))}"]
    if film and "bytes" in film:
        words.append(f"a film of {film['width']}x{film['height']}, {_megabytes(film['bytes'])}")
    elif film:
        words.append(f"no film: {film['refused']}")
    if data["missing"]:
        missing = data["missing"]
        words.append(f"without {len(missing)} missing thumbnail{'s' * (len(missing) > 1)}, `{missing[0]}` first")
    return ", ".join(words)


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"


def _write(path: Path, content: bytes) -> None:
    from analyzer.store.place import LocalPlace

    LocalPlace(path.parent).put(path.name, content)
