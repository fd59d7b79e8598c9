"""Which store a request asks for."""

from __future__ import annotations

from analyzer.contract import JobRequest
from analyzer.store.base import Store
from analyzer.store.place import Place


def open_store(request: JobRequest, place: Place) -> Store:
    """PostgreSQL where the request names a database, JSON Lines at `place` otherwise."""
    if request.database_url is None:
        from analyzer.store.folder import FolderStore

        return FolderStore(place)
    from analyzer.store.postgres import PostgresStore

    return PostgresStore(request.database_url)
