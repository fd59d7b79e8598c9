"""`analyzer database migrate | index`: what an operator does to the tables."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from analyzer.commands.arguments import whole_number
from analyzer.commands.output import add_output, write_out
from analyzer.contract import Env
from analyzer.errors import ExitCode, RequestInvalid

if TYPE_CHECKING:
    from analyzer.store.database import Database

MIGRATION_SCHEMA = "capctl.database-migration/1"
INDEX_SCHEMA = "capctl.database-index/1"
# No table has more.
MAX_MIN_ROWS = 10**12


def add_database(commands: Any) -> None:
    """Add the commands to a parser's sub-commands."""
    parser = commands.add_parser("database", help="tables and indexes in PostgreSQL")
    actions = parser.add_subparsers(required=True, metavar="COMMAND")
    migrate = actions.add_parser("migrate", help="make the tables, or bring them to this analyzer's version")
    migrate.set_defaults(command=_migrate)
    index = actions.add_parser("index", help="index the embeddings of each space that has become large")
    index.add_argument("--min-rows", metavar="N", help="smaller spaces are searched as fast without (default: 10000)")
    index.set_defaults(command=_index)
    for each in (migrate, index):
        each.add_argument("--database", metavar="URL", help=f"default: the variable {Env.DATABASE_URL}")
        add_output(each)


def _migrate(options: argparse.Namespace) -> int:
    from analyzer.store.migrate import known_migrations, migrate

    applied = migrate(_database(options))
    version = known_migrations()[-1].number
    if options.output == "json":
        names = [{"version": each.number, "name": each.name} for each in applied]
        write_out(json.dumps({"schema": MIGRATION_SCHEMA, "version": version, "applied": names}, indent=1))
        return ExitCode.OK
    told = [f"applied  {each.number:04d}-{each.name}" for each in applied]
    told.append(
        f"The tables have version {version}" if told else "Nothing to do: the tables are as new as this analyzer"
    )
    write_out("\n".join(told))
    return ExitCode.OK


def _index(options: argparse.Namespace) -> int:
    from analyzer.store.indexes import MIN_ROWS, build_indexes

    text = options.min_rows or str(MIN_ROWS)
    least = whole_number(text, name="`--min-rows`", code="min-rows-invalid", least=1, most=MAX_MIN_ROWS)
    found = build_indexes(_database(options), min_rows=least, on_build=_tell)
    if options.output == "json":
        spaces = [
            {"space": each.space, "dimension": each.dimension, "rows": each.rows, "verdict": str(each.verdict)}
            for each in found
        ]
        write_out(json.dumps({"schema": INDEX_SCHEMA, "spaces": spaces}, indent=1, ensure_ascii=False))
        return ExitCode.OK
    told = [f"{each.space}  {each.dimension} dimensions: {each.verdict}" for each in found]
    write_out("\n".join(told or ["Nothing to do: no embeddings are stored"]))
    return ExitCode.OK


def _tell(space: str, rows: int) -> None:
    sys.stderr.write(f"indexing `{space}`, {rows} rows; jobs go on meanwhile\n")


def _database(options: argparse.Namespace) -> Database:
    url = options.database or os.environ.get(Env.DATABASE_URL, "")
    if not url:
        raise RequestInvalid("database-missing", "No database is named", hint=f"Set {Env.DATABASE_URL} or `--database`")
    from analyzer.store.database import Database

    return Database(url=url)
