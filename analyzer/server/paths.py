"""Which places a client may name: S3, and local paths below one folder, if the server was given one."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from analyzer.contract import JobRequest, Location
from analyzer.errors import RequestInvalid


def allowed(request: JobRequest, folder: Path | None, *, own_result: bool) -> JobRequest:
    """The request with its local paths resolved, so that what was judged is what is opened.

    `own_result` says that the server itself chose where the result goes. Raises: RequestInvalid.
    """
    video = _judged(request.video, folder, "video_url")
    if request.result is None or own_result:
        return replace(request, video=video)
    return replace(request, video=video, result=_judged(request.result, folder, "result_url"))


def _judged(location: Location, folder: Path | None, name: str) -> Location:
    if location.path is None:
        return location
    # Links and `..` are followed first: where they lead counts, not how they are written. A loop of links leads nowhere.
    with suppress(OSError, RuntimeError):
        if folder is not None and (path := location.path.resolve()).is_relative_to(folder.resolve()):
            return replace(location, path=path)
    raise RequestInvalid(
        "path-not-allowed",
        f"`{name}` names a local path that this server does not open",
        hint="Name an object as `s3://bucket/key`, or start the server with `--allow-path`",
    )
