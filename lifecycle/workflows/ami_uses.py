"""Who uses AMIs now, for commands that tell it and decide nothing by it."""

from lifecycle.domain.permissions import READ_POINTER, READ_STATE
from lifecycle.domain.usage import Unread, Use, UseReport
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.ports import Ports
from lifecycle.workflows.status import roles_of

READ_USES = (*READ_POINTER, *READ_STATE)


def uses_now(ports: Ports) -> UseReport:
    """The releases, and which of them the pointer names; what cannot be read is told, and fails nothing."""
    try:
        pointer, releases = ports.pointers.read(), ports.stack.releases()
    except Interrupted:
        raise
    except CapctlError as error:
        return UseReport(unread=(Unread(source="releases", why=error.message),))
    roles = roles_of(releases, pointer)
    return UseReport(
        uses=tuple(
            Use(ami_id=release.ami_id, kind="release", name=release.id, detail=roles.get(release.id, ""))
            for release in releases
        )
    )
