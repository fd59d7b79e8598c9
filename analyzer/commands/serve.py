"""`serve`: jobs from HTTP clients, until it is stopped."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from analyzer.commands.arguments import PORT_MAX, whole_number
from analyzer.contract import Env, ExitCode, Location, ModelRequest, local_path
from analyzer.errors import Interrupted, RequestInvalid

PORT_DEFAULT = 8080
ROOM_DEFAULT = 16


def add_serve(commands: Any) -> None:
    """Add `serve` to the subparsers of the command line."""
    serve = commands.add_parser("serve", help="run jobs that come by HTTP; models, backend and database as for `batch`")
    serve.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1; there is no authentication")
    serve.add_argument("--port", default=str(PORT_DEFAULT), help=f"default: {PORT_DEFAULT}; 0 = any free one")
    serve.add_argument("--results", metavar="URL", help="folder or s3:// prefix of all results; default: RESULT_URL")
    serve.add_argument("--allow-path", metavar="DIR", help="clients may name local files below it; default: s3:// only")
    serve.add_argument(
        "--queue", type=int, default=ROOM_DEFAULT, metavar="N", help=f"so many may wait (default: {ROOM_DEFAULT})"
    )
    serve.set_defaults(command=_serve)


def _serve(options: argparse.Namespace) -> int:
    environment: dict[str, str] = dict(os.environ)
    if options.results:
        environment[Env.RESULT_URL] = options.results
    if not environment.get(Env.RESULT_URL, "").strip():
        raise RequestInvalid("results-missing", "`--results` is not given", hint="Name a folder or an s3:// prefix")
    Location.parse(environment[Env.RESULT_URL], name="`--results`")
    if options.queue < 1:
        raise RequestInvalid("queue-invalid", f"`--queue` is {options.queue}, expected 1 or more")
    port = whole_number(options.port, name="`--port`", code="port-invalid", least=0, most=PORT_MAX)
    allow_path = local_path(options.allow_path, name="`--allow-path`") if options.allow_path else None
    if allow_path:
        _require_folder(allow_path)
    models = ModelRequest.models_from_environment(environment)
    try:
        # Here, not at the top: a stop signal during these second-long imports must already be caught.
        from analyzer.progress import Progress
        from analyzer.server.listen import listen

        return listen(
            models,
            environment,
            host=options.host,
            port=port,
            room=options.queue,
            allow_path=allow_path,
            progress=Progress(),
        )
    except Interrupted:
        # The server did not listen yet, so no work was cut off.
        return ExitCode.OK


def _require_folder(allow_path: Path) -> None:
    # What may not be looked at is none that anybody could name files in either.
    with suppress(OSError):
        if allow_path.is_dir():
            return
    what = f"`--allow-path` is `{allow_path}`, which is no folder that can be read"
    raise RequestInvalid("allow-path-invalid", what, hint="Name the folder whose files clients may name")
