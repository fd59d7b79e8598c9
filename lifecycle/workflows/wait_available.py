"""Wait until an AMI can be used."""

from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.waiting import Wait
from lifecycle.errors import CapctlError, TimedOut
from lifecycle.ports.amis import Amis
from lifecycle.ports.clock import Clock
from lifecycle.ports.wait import wait_for

# A new AMI may be unknown to some endpoints for so long.
_APPEARS_WITHIN_S = 150.0
# EC2 answers from several endpoints that learn of a change at different moments; three in a row are hardly all early.
_SUCCESSES = 3


def wait_available(amis: Amis, clock: Clock, ami_id: AmiId, *, timeout_s: float) -> AmiRecord:
    """The AMI once it is `available`. Raises `CapctlError("ami-failed" | "ami-missing")`, `TimedOut("ami-pending")`."""
    started = clock.monotonic()

    def look() -> AmiRecord | None:
        try:
            ami = amis.get(ami_id)
        except CapctlError as error:
            if error.code == "ami-missing" and clock.monotonic() - started <= _APPEARS_WITHIN_S:
                return None
            raise
        if ami.state.is_dead or ami.state in {AmiState.DISABLED, AmiState.DEREGISTERED}:
            raise CapctlError(
                "ami-failed",
                f"AMI `{ami_id}` is `{ami.state}`{f': {ami.state_reason}' if ami.state_reason else ''}",
                hint=f"{'Mend what AWS names, then run' if ami.state_reason else 'Run'} the same command again; it removes this one first"
                if ami.state.is_dead
                else "Run `capctl ami bake --force` for another AMI of the same content",
            )
        return ami

    def timed_out(ami: AmiRecord | None) -> TimedOut:
        return TimedOut(
            "ami-pending",
            f"AMI `{ami_id}` is {f'still `{ami.state}`' if ami else 'not visible'} after {timeout_s:g} s",
            hint="Run the same command again; it goes on waiting",
        )

    # At once: it is the endpoint that must be another one, not the time.
    how = Wait(shortest_s=0.25, longest_s=15.0, successes=_SUCCESSES, repeat_s=0.0, timeout_s=timeout_s)
    found = wait_for(look, _is_available, how, clock, timed_out=timed_out)
    assert found, "an AMI that is available was seen"
    return found


def wait_named(amis: Amis, clock: Clock, name: str) -> AmiRecord:
    """The AMI of that name, which EC2 has begun to make. Raises `TimedOut("ami-pending")` when it does not become visible."""

    def timed_out(_: AmiRecord | None) -> TimedOut:
        return TimedOut(
            "ami-pending",
            f"AMI `{name}` is not visible after {_APPEARS_WITHIN_S:g} s",
            hint="Run the same command again; it goes on waiting",
        )

    how = Wait(shortest_s=0.25, longest_s=15.0, timeout_s=_APPEARS_WITHIN_S)
    found = wait_for(lambda: amis.by_name(name), lambda ami: ami is not None, how, clock, timed_out=timed_out)
    assert found, "an AMI of the name was seen"
    return found


def holder_of(amis: Amis, clock: Clock, name: str, taken: CapctlError) -> AmiRecord:
    """The AMI that has the name, for which EC2 refused another one with `taken`; that is raised when none becomes visible."""
    try:
        return wait_named(amis, clock, name)
    except TimedOut:
        raise taken from None


def _is_available(ami: AmiRecord | None) -> bool:
    return ami is not None and ami.state is AmiState.AVAILABLE
