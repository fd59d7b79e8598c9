"""The IAM actions that capctl's steps need, collected from the steps themselves."""

import dataclasses
import inspect
import json
import pkgutil
from importlib import import_module
from types import ModuleType

from lifecycle import workflows

# Asked by every command: whose credentials these are, and which AMI a parameter names.
READS = ("sts:GetCallerIdentity", "ssm:GetParameter")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StepActions:
    """A step class, what it does in one line, and the actions it needs."""

    module: str
    name: str
    does: str
    actions: tuple[str, ...]


def step_actions() -> list[StepActions]:
    """Every step of every workflow, by module and name."""
    modules = [import_module(f"lifecycle.workflows.{found.name}") for found in pkgutil.iter_modules(workflows.__path__)]
    return sorted((step for module in modules for step in _steps(module)), key=lambda step: (step.module, step.name))


def iam_page(note: str) -> str:
    """The page docs/iam.md."""
    steps = step_actions()
    everything = sorted({action for step in steps for action in step.actions} | set(READS))
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": everything, "Resource": "*"}]}
    rows = [f"| {step.does} | {', '.join(f'`{action}`' for action in step.actions)} |" for step in steps]
    return "\n".join(
        [
            note,
            "# IAM actions\n",
            "Each step of a plan names the actions it needs; `--dry-run -o json` lists those of one run. Give a role the rows of the",
            "commands it runs, and narrow `Resource` to the project's names.\n",
            "| step | actions |\n|---|---|",
            *rows,
            "",
            "All together:\n",
            f"```json\n{json.dumps(policy, indent=2)}\n```\n",
        ]
    )


def _steps(module: ModuleType) -> list[StepActions]:
    own = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if kind.__module__ == module.__name__]
    steps = [
        kind for kind in own if all(callable(getattr(kind, name, None)) for name in ("describe", "apply", "verify"))
    ]
    return [
        StepActions(
            module=module.__name__.rpartition(".")[2],
            name=kind.__name__,
            does=(inspect.getdoc(kind) or "").splitlines()[0],
            actions=tuple(sorted(_permissions(kind))),
        )
        for kind in steps
    ]


def _permissions(kind: type) -> tuple[str, ...]:
    default = next(field.default for field in dataclasses.fields(kind) if field.name == "permissions")  # type: ignore[arg-type]
    assert isinstance(default, tuple)
    return default
