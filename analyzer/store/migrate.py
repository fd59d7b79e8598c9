"""The tables' versions: numbered SQL files, applied in order, in one transaction, by one login at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import psycopg

from analyzer.contract import Table
from analyzer.errors import Mismatch
from analyzer.store.base import COLUMNS
from analyzer.store.database import Connection, Database, pgvector_missing, read_only

VERSIONS = "analysis_schema"
# Any fixed number: whoever changes the tables does it alone.
_SCHEMA_LOCK = 0x6361706374
_FILE = re.compile(r"(\d{4})-([a-z0-9-]+)\.sql")
_RIGHTS: Mapping[Table, tuple[str, ...]] = {
    Table.JOBS: ("select", "insert", "update"),
    **dict.fromkeys(COLUMNS, ("select", "insert", "delete")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step; analyzers that know the tables only up to `oldest_reader` still work with what it leaves."""

    number: int
    name: str
    text: str
    oldest_reader: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The version of the tables that are there, 0 = none, and the oldest analyzer that can work with them."""

    version: int = 0
    oldest_reader: int = 0


def known_migrations() -> tuple[Migration, ...]:
    """The migrations that this analyzer brings, numbered from 1."""
    found = []
    for file in resources.files("analyzer").joinpath("store/migrations").iterdir():
        if match := _FILE.fullmatch(file.name):
            text = file.read_text("utf-8")
            oldest = re.match(r"-- oldest-reader: (\d+)\n", text)
            assert oldest, f"{file.name} tells no oldest reader"
            found.append(
                Migration(number=int(match[1]), name=match[2], text=text, oldest_reader=int(oldest[1])),
            )
    return tuple(sorted(found, key=lambda each: each.number))


def migrate(database: Database, migrations: Sequence[Migration] = ()) -> list[Migration]:
    """Apply what is missing, all of it or nothing; returns what was applied.

    Raises: Mismatch, for tables of a newer analyzer or without a version, and for a login that may not make tables; DependencyDown.
    """
    wanted = tuple(migrations) or known_migrations()
    with database.connection() as connection:
        return _apply(database, connection, wanted)


def prepare(database: Database, migrations: Sequence[Migration] = ()) -> None:
    """Make sure that the tables can be filled: create what is missing where nobody can be hurt by it.

    Tables that older analyzers use at this moment change by themselves only in ways that those can bear.
    Raises: Mismatch, when the tables are of another version or may not be filled; DependencyDown.
    """
    wanted = tuple(migrations) or known_migrations()
    with database.connection() as connection:
        _require_writable(connection)
        standing = _standing(connection)
        pending = _pending(standing, wanted)
        if pending:
            oldest = max(each.oldest_reader for each in pending)
            if standing.version and oldest > standing.version:
                raise Mismatch(
                    "tables-older",
                    f"The tables have version {standing.version}, this analyzer needs {wanted[-1].number}, and analyzers of "
                    f"version {standing.version} could not work with those",
                    hint="Run `analyzer database migrate` when no job of an older release runs any more",
                )
            _apply(database, connection, wanted)
        _require_rights(connection)


def _apply(database: Database, connection: Connection, wanted: Sequence[Migration]) -> list[Migration]:
    with database.transaction(connection):
        connection.execute("select pg_advisory_xact_lock(%s)", [_SCHEMA_LOCK])
        # What somebody else applied while this one waited counts.
        standing = _standing(connection)
        pending = _pending(standing, wanted)
        if pending and not standing.version:
            _require_nothing(connection)
            connection.execute(
                f"create table {VERSIONS} (version integer primary key, name text not null, "
                "oldest_reader integer not null, applied_at timestamptz not null default now())"
            )
        for each in pending:
            try:
                connection.execute(each.text.encode())
            except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile) as error:
                raise pgvector_missing("server does not offer the extension `vector`") from error
            except psycopg.errors.UndefinedObject as error:
                raise pgvector_missing("has a pgvector that lacks something of 0.7") from error
            connection.execute(
                f"insert into {VERSIONS} (version, name, oldest_reader) values (%s, %s, %s)",
                [each.number, each.name, each.oldest_reader],
            )
        return pending


def _standing(connection: Connection) -> Standing:
    there = connection.execute("select to_regclass(%s) is not null", [VERSIONS]).fetchone()
    if not there or not there[0]:
        return Standing()
    row = connection.execute(
        f"select version, max(oldest_reader) over () from {VERSIONS} order by version desc limit 1"
    ).fetchone()
    return Standing(version=row[0], oldest_reader=row[1]) if row else Standing()


def _pending(standing: Standing, wanted: Sequence[Migration]) -> list[Migration]:
    """What is to be applied; raises Mismatch for tables that this analyzer cannot work with."""
    newest = wanted[-1].number
    if standing.version > newest and standing.oldest_reader > newest:
        raise Mismatch(
            "tables-newer",
            f"The tables have version {standing.version}, this analyzer knows them up to {newest}",
            hint="Use an image that is as new as the tables, or another database",
        )
    return [each for each in wanted if each.number > standing.version]


def _require_nothing(connection: Connection) -> None:
    found = connection.execute(
        "select name from unnest(%s::text[]) as name where to_regclass(name) is not null", [list(Table)]
    ).fetchone()
    if found:
        raise Mismatch(
            "tables-unversioned",
            f"The table `{found[0]}` is there, but `{VERSIONS}`, which would tell its version, is not",
            hint="Rename or drop the `analysis_…` tables, or let DATABASE_URL name another database",
        )


def _require_writable(connection: Connection) -> None:
    row = connection.execute("select pg_is_in_recovery(), current_setting('transaction_read_only')").fetchone()
    if row and (row[0] or row[1] == "on"):
        raise read_only("it is a standby" if row[0] else "its transactions are read-only")


def _require_rights(connection: Connection) -> None:
    wanted = [(str(table), right) for table, rights in _RIGHTS.items() for right in rights]
    lacking = connection.execute(
        "select name, wanted, current_user from unnest(%s::text[], %s::text[]) as asked (name, wanted)"
        " where not has_table_privilege(name, wanted) limit 1",
        [[name for name, _ in wanted], [right for _, right in wanted]],
    ).fetchone()
    if lacking:
        table, right, login = lacking
        raise Mismatch(
            "database-refused",
            f"The login `{login}` lacks the right to {right} on `{table}`",
            hint=f"Let the owner run `grant {right} on {table} to {login}`",
        )
