"""`capctl ami channels`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from lifecycle.cli import ami_documents, ami_text
from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.cli.render import table, time_text

if TYPE_CHECKING:
    from lifecycle.workflows.list_channels import ChannelState


@click.command("channels")
@click.argument("channel", required=False)
@pass_invocation
def command(invocation: Invocation, channel: str | None) -> None:
    """List the project's channels and the AMIs that they name, or the history of CHANNEL, newest first."""
    from lifecycle.domain.channel import parse_channel
    from lifecycle.workflows.list_channels import channel_history, list_channels

    app = invocation.app
    if channel:
        found = channel_history(app, app.target, parse_channel(channel))
        invocation.emit("capctl.ami-channel/1", ami_documents.ami_channel(found), lambda: _history(found))
    else:
        found = list_channels(app, app.target)
        nothing = f"Project `{app.target.project}` has no channels in {app.target.region}"
        document = ami_documents.ami_channel_list(found)
        invocation.emit("capctl.ami-channel-list/1", document, lambda: _list(found), nothing=nothing)


def _list(states: Sequence[ChannelState]) -> str:
    if not states:
        return ""
    rows = [(state.entry.channel, *_cells(state)) for state in states]
    return table(("channel", "ami", "status", "since", "by"), rows, prose=("by",))


def _history(states: Sequence[ChannelState]) -> str:
    rows = [(state.entry.version, *_cells(state), _why(state)) for state in states]
    return table(("version", "ami", "status", "since", "by", "why"), rows, prose=("by", "why"))


def _cells(state: ChannelState) -> tuple[str, ...]:
    entry = state.entry
    status = ami_text.status_text(state.ami) if state.ami else "gone"
    return entry.ami_id, status, time_text(entry.since), entry.note.by or "-"


def _why(state: ChannelState) -> str:
    note = state.entry.note
    return ": ".join(filter(None, ("rolled back" if note.is_rollback else "", note.reason))) or "-"
