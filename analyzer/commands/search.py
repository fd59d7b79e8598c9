"""`analyzer search`: items that look like a track, a scene or a picture file."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from analyzer.commands.arguments import whole_number
from analyzer.commands.models import add_mounted, model_request
from analyzer.commands.output import add_output, write_out
from analyzer.contract import Env, Location, ModelRequest, Role, local_path, parse_session_id
from analyzer.errors import ExitCode, RequestInvalid

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.store.search import Hit, Item, Query, Searched, Vector

SEARCH_SCHEMA = "capctl.search/1"
DEFAULT_LIMIT = 10
MAX_LIMIT = 1000
_ITEM = re.compile(r"([^/]+)/(?:(track|scene)/)?(\d{1,9})")


def add_search(commands: Any) -> None:
    """Add the command to a parser's sub-commands."""
    search = commands.add_parser("search", help="find tracks and scenes that look alike")
    search.add_argument(
        "--like", required=True, metavar="WHAT", help="SESSION/TRACK, SESSION/scene/SCENE or a picture file"
    )
    search.add_argument("--space", metavar="NAME", help="the embeddings to compare; needed where the item has several")
    search.add_argument("--limit", default=str(DEFAULT_LIMIT), metavar="N", help=f"default: {DEFAULT_LIMIT}")
    search.add_argument("--session", action="append", default=[], metavar="ID", help="only in this one; repeatable")
    place = search.add_mutually_exclusive_group()
    place.add_argument("--database", metavar="URL", help=f"default: the variable {Env.DATABASE_URL}")
    place.add_argument(
        "--folder", action="append", metavar="PLACE", help="results of one session, local or s3://; repeatable"
    )
    add_output(search)
    models = search.add_argument_group(
        "what turns a picture file into a vector, where the results' vectors need weights"
    )
    add_mounted(models)
    models.add_argument("--caption-model", default="", metavar="DIR", help="below the model root where not named")
    search.set_defaults(command=_search)


def _search(options: argparse.Namespace) -> int:
    limit = whole_number(options.limit, name="`--limit`", code="limit-invalid", least=1, most=MAX_LIMIT)
    sessions = tuple(parse_session_id(each, name="`--session`") for each in options.session)
    searched = _searched(options)
    query, like = _query(searched, options.like, options.space, limit, sessions, model_request(options, Role.CAPTION))
    hits = searched.nearest(query)
    if options.output == "json":
        write_out(json.dumps(_document(query, like, hits), indent=1, ensure_ascii=False))
        return ExitCode.OK
    if hits:
        write_out("\n".join(_table(hits)))
    else:
        sys.stderr.write(f"Nothing in the space `{query.space}` is comparable\n")
    return ExitCode.OK


def _searched(options: argparse.Namespace) -> Searched:
    if options.folder:
        from analyzer.store.place import place_at
        from analyzer.store.search import SearchedFolders

        return SearchedFolders([place_at(Location.parse(each, name="`--folder`")) for each in options.folder])
    url = options.database or os.environ.get(Env.DATABASE_URL, "")
    if not url:
        raise RequestInvalid(
            "nowhere-to-search",
            "Neither a database nor a folder is named",
            hint=f"Give `--database` or `--folder`, or set {Env.DATABASE_URL}",
        )
    from analyzer.store.database import Database
    from analyzer.store.search_database import SearchedDatabase

    return SearchedDatabase(Database(url=url))


def _query(
    searched: Searched,
    like: str,
    space: str | None,
    limit: int,
    sessions: tuple[str, ...],
    models: ModelRequest,
) -> tuple[Query, dict[str, Any]]:
    from analyzer.store.search import Item, Query

    if _is_file(path := local_path(like, name="`--like`")):
        from analyzer.commands.picture import embedded

        space, vector = embedded(path, space=space, makers=searched.makers(sessions), request=models)
        return Query(space=space, vector=vector, limit=limit, sessions=sessions), {"picture": like}
    match = _ITEM.fullmatch(like)
    if not match:
        raise RequestInvalid(
            "like-invalid",
            f"`--like` is `{like[:200]}`: no such file, and not SESSION/TRACK",
            hint="Name a picture file, a track as `SESSION/3` or a scene as `SESSION/scene/3`",
        )
    item = Item(
        session_id=parse_session_id(match[1], name="The session in `--like`"),
        kind=match[2] or "track",
        ref=int(match[3]),
    )
    space, vector = _chosen(item, searched.vectors(item), space)
    found = {"session_id": item.session_id, "kind": item.kind, "ref": item.ref}
    return Query(space=space, vector=vector, limit=limit, sessions=sessions, item=item), found


def _is_file(path: Path) -> bool:
    # What may not be looked at is no file to us.
    with suppress(OSError):
        return path.is_file()
    return False


def _chosen(item: Item, vectors: dict[str, Vector], space: str | None) -> tuple[str, Vector]:
    name = f"{item.kind} {item.ref} of the session `{item.session_id}`"
    known = ", ".join(f"`{each}`" for each in sorted(vectors))
    if not vectors:
        raise RequestInvalid(
            "item-unknown", f"No embedding of {name} is stored", hint="Check its number, and where you search"
        )
    if space is None and len(vectors) > 1:
        raise RequestInvalid("space-open", f"There are embeddings of {name} in {known}", hint="Choose with `--space`")
    space = space or next(iter(vectors))
    if space not in vectors:
        raise RequestInvalid("space-unknown", f"The embeddings of {name} are in {known}, not in `{space}`")
    return space, vectors[space]


def _document(query: Query, like: dict[str, Any], hits: list[Hit]) -> dict[str, Any]:
    return {
        "schema": SEARCH_SCHEMA,
        "like": like,
        "space": query.space,
        "hits": [
            {
                "session_id": hit.item.session_id,
                "kind": hit.item.kind,
                "ref": hit.item.ref,
                "similarity": round(hit.similarity, 4),
                "pts_ms": hit.pts_ms,
                "label": hit.label,
                "first_ms": hit.first_ms,
                "last_ms": hit.last_ms,
                "video_url": hit.video_url,
            }
            for hit in hits
        ],
    }


def _table(hits: list[Hit]) -> list[str]:
    """Columns with a head; nothing for no hits."""
    cells = [("ALIKE", "SESSION", "WHAT", "AT", "SEEN", "VIDEO")] if hits else []
    for hit in hits:
        seen = f"{_clock(hit.first_ms)}-{_clock(hit.last_ms)}" if hit.first_ms is not None else "-"
        what = f"{hit.item.kind} {hit.item.ref}"
        cells.append((f"{hit.similarity:.3f}", hit.item.session_id, what, _clock(hit.pts_ms), seen, hit.video_url))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _clock(time_ms: int | None) -> str:
    """`h:mm:ss.t`, hours only where there are any."""
    tenths = (time_ms or 0) // 100
    hours, minutes, seconds = tenths // 36000, tenths // 600 % 60, tenths / 10 % 60
    return f"{hours}:{minutes:02}:{seconds:04.1f}" if hours else f"{minutes}:{seconds:04.1f}"
