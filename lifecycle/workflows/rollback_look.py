"""What a rollback does not ask before it moves the pointer: whether jobs can start where they go, and who deploys meanwhile."""

from dataclasses import replace

from lifecycle.domain.plan import Plan
from lifecycle.domain.release import Place
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.ports import Ports
from lifecycle.workflows.intake import read_intake
from lifecycle.workflows.move_pointer import MovePointer
from lifecycle.workflows.parallel import side_by_side

_SHOWS = "`capctl status` shows it"


def look_ahead(ports: Ports, plan: Plan) -> Plan:
    """The plan of a rollback with what it would meet, for who reads it before the pointer moves.

    Trouble of the look is told there too: it must not keep anybody from going back.
    """
    found = [line for step in plan.steps if isinstance(step, MovePointer) for line in _look(ports, step.find())]
    return replace(plan, details=(*plan.details, *found))


def _look(ports: Ports, place: Place) -> tuple[str, ...]:
    try:
        with side_by_side(2) as pool:
            standing = pool.submit(ports.deployments.standing, 1)
            intake, running = read_intake(ports, place.job_queue_arn), standing.result().running
    except Interrupted:
        raise
    except CapctlError as unread:
        return (
            f"Whether release {place.id} takes jobs, and whether somebody deploys, was not seen: {unread.message}; {_SHOWS}",
        )
    lines = []
    if not intake.takes_jobs:
        lines.append(
            f"Release {place.id} takes no jobs: {intake.obstacle}; `capctl drift` says what to do,"
            " `capctl rollback --to …` goes to another one"
        )
    if running:
        lines.append(
            f"{running.name[0].upper()}{running.name[1:]} runs ({running.stage}): it finds the pointer moved, and stops"
        )
    return tuple(lines)
