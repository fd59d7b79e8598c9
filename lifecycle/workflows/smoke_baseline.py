"""How long a smoke job worked, beside those of the release before."""

from collections.abc import Iterator

from lifecycle.config.target import Target
from lifecycle.domain.check import Check
from lifecycle.domain.layout import Folder
from lifecycle.domain.smoke_run import RUN_NAME, SmokeRun, check_run_time, kept_run
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.ports import Ports

# Whoever smokes a release every night shall not wait for a year of them.
_LOOKED_AT = 10


def session_beginning(release_id: str) -> str:
    """How the session ids of a release's smoke jobs begin; they end with the id of the run, which begins with its time."""
    return f"smoke-{release_id}-"


def compare_run(ports: Ports, target: Target, release_id: str, run: SmokeRun) -> tuple[Check, ...]:
    """That the job worked hardly longer than those that the release before passed with, on the same instance type, over the same video.

    Nothing where that is not asked for, or there is none like it, which a note tells.
    """
    percent = target.settings.smoke.max_run_percent
    before = _release_before(ports, release_id) if percent else ""
    if not before:
        return ()
    found = check_run_time(run, _passed(ports, target, before), percent=percent, of_release=before)
    if not found:
        kind = run.instance_type or "this host"
        ports.ui.note(f"How long the job took is compared with nothing: release {before} has no such smoke on {kind}")
    return found


def keep_run(ports: Ports, target: Target, session_id: str, run: SmokeRun) -> None:
    """Keep a run that passed beside its result. The release after is compared with nothing where that fails: a warning, no more."""
    uri = target.uri(Folder.SMOKE, f"{session_id}/{RUN_NAME}")
    try:
        ports.objects.write(uri, run.document)
    except Interrupted:
        raise
    except CapctlError as unkept:
        ports.ui.warn(f"How long the job took cannot be kept at `{uri}`: {unkept.message}")


def _release_before(ports: Ports, release_id: str) -> str:
    """The release that takes jobs, or the one before it if that is `release_id`; "" for none."""
    pointer = ports.pointers.read()
    if pointer is None:
        return ""
    return pointer.release_id if pointer.release_id != release_id else pointer.previous_release_id


def _passed(ports: Ports, target: Target, release_id: str) -> Iterator[SmokeRun]:
    stored = ports.objects.list(target.uri(Folder.SMOKE, session_beginning(release_id)))
    for uri in [found.uri for found in stored if found.uri.endswith(f"/{RUN_NAME}")][-_LOOKED_AT:]:
        try:
            run = kept_run(b"".join(ports.objects.chunks(uri)))
        except CapctlError as error:
            # Another release's record is no fault of this one.
            if error.code != "object-missing":
                raise
            continue
        if run:
            yield run
