"""Options and arguments that are ids."""

from __future__ import annotations

import click


def _release_id(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    from lifecycle.domain.ids import parse_release_id

    return None if text is None else parse_release_id(text)


def _job_id(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
    from lifecycle.domain.ids import parse_job_id

    return parse_job_id(text)


job_argument = click.argument("job_id", metavar="ID", callback=_job_id)
release_argument = click.argument("release_id", metavar="RELEASE", callback=_release_id)
release_option = click.option(
    "--release", "release_id", help="Release id; the active release when absent.", callback=_release_id
)
to_release_option = click.option(
    "--to", help="Release id; the release before the active one when absent.", callback=_release_id
)
