"""`models verify`: does the source still hold what was locked."""

from dataclasses import dataclass

from lifecycle.domain.measures import counted
from lifecycle.domain.models import ModelSet, changed_paths
from lifecycle.domain.permissions import READ_SOURCE
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.workflows.lookups import locked
from lifecycle.workflows.source_models import from_source

PERMISSIONS = {"models verify": READ_SOURCE}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsReport:
    """`problems`: one line per path that is missing, changed or extra in the source."""

    models: ModelSet
    problems: tuple[str, ...]


def verify_models(ports: Ports) -> ModelsReport:
    """Read every file of the source and compare it with the lock."""
    models = locked(ports)
    return ModelsReport(models=models, problems=changed_paths(models, from_source(ports, models)))


def models_rejection(report: ModelsReport) -> CapctlError | None:
    """The error that the report amounts to, if any."""
    if not report.problems:
        return None
    return CapctlError(
        "models-differ",
        f"The source differs from the lock file in {counted(len(report.problems), 'file')}",
        hint="Restore what is changed or missing and remove what is extra, or run `capctl models lock` to accept it all",
        details=report.problems,
    )
