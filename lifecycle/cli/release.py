"""`capctl release`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.cli import documents, release_documents, release_summary
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation, plan_text, reason_option, yes_option
from lifecycle.cli.summary import Summary, summary_of, summary_option

if TYPE_CHECKING:
    from lifecycle.workflows.ship import PlannedShipment


@click.command()
@click.option("--ami", help="AMI id or channel to release; none is baked then.")
@click.option("--image", help="Image to release, as `capctl deploy` takes it; none is pushed then.")
@click.option(
    "--promote",
    metavar="CHANNEL",
    help="Channel to point at the AMI once its release is active; `ami.promote_to` when absent.",
)
@summary_option
@reason_option
@dry_run_option
@yes_option
@pass_invocation
def command(
    invocation: Invocation, ami: str | None, image: str | None, promote: str | None, summary: Path | None, dry_run: bool
) -> None:
    """Bake if the models changed, push the code, deploy both: what CI calls.

    Prints the id of the active release. Its stages are `ami bake`, `image push`, `deploy` and, with a channel, `ami promote`; each does
    nothing when nothing changed. When one fails, the exit code is its own. A release that was rolled back from is refused.
    """
    from lifecycle.workflows.ship import WantedShipment, plan_shipment, ship
    from lifecycle.workflows.shipment_log import ShipmentLog

    with summary_of(summary, invocation.terminal, release_summary.failure_page) as page:
        app, run = invocation.app, invocation.run
        target, log = app.target, ShipmentLog(app.clock)
        page.tell = lambda failure: release_summary.shipment_page(log.shipment, failure, target=target.name)
        wanted = WantedShipment(ami=ami, image=image, channel=promote)
        planned = plan_shipment(app, target, run, wanted, log)
        if dry_run:
            _tell_plan(invocation, planned, page)
            return
        if not planned.shown.is_idle:
            if invocation.assume_yes:  # the log of a pipeline is read when all is over
                invocation.terminal.note(planned.shown.render())
            invocation.require_consent(planned.shown)
        shipment = ship(app, target, run, planned, log)
        document, told = release_documents.shipment(shipment), "" if shipment.failure else shipment.release_id
        invocation.emit("capctl.shipment/1", document, told, failure=shipment.failure)


def _tell_plan(invocation: Invocation, planned: PlannedShipment, page: Summary) -> None:
    shown, text = planned.shown, plan_text(planned.shown)
    page.tell = lambda _: release_summary.dry_run_page(text, target=invocation.app.target.name)
    push = planned.push[1] if planned.push else None
    invocation.print_plan(shown, documents.plan(shown.known, push=push, stages=shown.stages))
