"""The IAM actions that capctl's commands need, collected from the workflows and their steps."""

import dataclasses
import json
import pkgutil
import re
from collections.abc import Collection
from importlib import import_module
from types import ModuleType
from typing import Any

from lifecycle import workflows
from lifecycle.domain.tags import Tag
from pulumi_stack.components.roles import (
    SESSION_MANAGER_POLICY,
    execution_statements,
    instance_statements,
    job_statements,
)

# Removals whose subjects carry the project's tag, and which AWS can bind to it. Packer's key pairs and security groups have no tag.
_BOUND = frozenset(
    {
        "ec2:DeleteSnapshot",
        "ec2:DeleteVolume",
        "ec2:DeregisterImage",
        "ec2:DisableImage",
        "ec2:TerminateInstances",
        "ecr:BatchDeleteImage",
    }
)
# What the pipelines of `examples/ci` call with the role that releases, and with the one that only looks.
_RELEASES = ("image base", "release", "rollback", "status")
_LOOKS = ("release", "image build", "drift")
_OF_PROJECT = {"StringEquals": {f"aws:ResourceTag/{Tag.PROJECT}": "PROJECT"}}
_PASS_ROLE = "iam:PassRole"
_READ = re.compile(r"\w+:(Get|List|Describe|BatchGet|BatchCheck|StartLifecyclePolicyPreview)")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StepActions:
    """A step class, what it does in one line, and the actions it needs."""

    name: str
    does: str
    actions: frozenset[str]


def command_actions() -> dict[str, frozenset[str]]:
    """Every action by command, such as `ami bake`: what its workflow asks, what the steps need that its plan may have, and all that the
    commands need whose stages it goes through."""
    own = {
        command: frozenset(asked).union(*(step.actions for step in _steps(module)))
        for module in _modules()
        for command, asked in getattr(module, "PERMISSIONS", {}).items()
    }
    stages = {command: names for module in _modules() for command, names in getattr(module, "STAGES", {}).items()}
    return {
        command: actions.union(*(own[name] for name in stages.get(command, ()))) for command, actions in own.items()
    }


def step_actions() -> list[StepActions]:
    """Every step of every workflow, by name."""
    return sorted({step.name: step for module in _modules() for step in _steps(module)}.values(), key=lambda s: s.name)


def is_read(action: str) -> bool:
    """Whether an action changes nothing, by its verb."""
    return _READ.match(action) is not None


def job_actions() -> frozenset[str]:
    """What the role of the jobs allows."""
    return _of(job_statements("*", "*"))


def iam_page(note: str) -> str:
    """The page docs/iam.md."""
    commands = command_actions()
    actions = frozenset[str]().union(*commands.values())
    releases = frozenset[str]().union(*(commands[name] for name in _RELEASES))
    looks = frozenset(action for name in _LOOKS for action in commands[name] if is_read(action))
    return "\n".join(
        [
            note,
            "# IAM actions\n",
            "Give a role the rows of the commands it runs, and narrow `Resource` to the project's names. `--dry-run` needs the first",
            "column only; `--dry-run -o json` lists the actions of each step of that run. A rehearsal proves the rows, call by call",
            "(`tests/rehearsal/test_iam.py`, where what it cannot show stands with the reason). `sts:GetCallerIdentity`, which every",
            "command asks first, needs no permission.\n",
            "| command | reads | changes |\n|---|---|---|",
            *(
                f"| `capctl {name}` | {_reads(needed)} | {_changes(needed)} |"
                for name, needed in sorted(commands.items())
            ),
            "",
            "The actions of `s3` belong to the target's bucket, to that of `models.source` if it is in S3 and, for `ami bake`,",
            "`ami disable`, `ami ls`, `ami prune`, `ami show`, `bootstrap`, `deploy`, `image ls`, `image policy`, `image prune`,",
            "`release`, `rollback`, `smoke` and `status`, to the bucket of Pulumi's state (`ami bake` reads it before it removes an AMI,",
            "and only then). Those of `ec2` in `bootstrap` fall away without `network.create`, and `iam:DeleteRolePolicy` is for who takes",
            "`release.database_secret_arn` away. Those of `ecr` fall away with `registry_url`, but for `image ls`, `image policy` and",
            "`image prune`, and those of `iam` and of `ssm` sessions in `ami bake` and `release` without Session Manager. What",
            "`ami verify` changes, it changes for `--boot`. Commands that are not in the table ask AWS nothing.\n",
            "## Roles that `capctl bootstrap` makes\n",
            "They belong to machines and jobs; nobody who runs capctl needs their actions.\n",
            "| role | of | actions |\n|---|---|---|",
            f"| `<project>-bake` | the instance of a bake | the managed policy `{SESSION_MANAGER_POLICY}` |",
            f"| `<project>-instance` | hosts of jobs | {_listed(_of(instance_statements('*', '*')))} |",
            f"| `<project>-job` | jobs | {_listed(job_actions())} |",
            f"| `<project>-execution` | the start of a job | {_listed(_of(execution_statements('*')))} of "
            "`release.database_secret_arn`, none without one |",
            "",
            "## One policy for all commands\n",
            "PROJECT stands for `project` of capctl.yaml. The condition keeps what other people and projects own from removal whatever",
            "capctl believes. What a killed bake left untagged, such as an AMI that an old Packer had not finished, it keeps as well: a",
            "role without it sweeps that.\n",
            _shown([*_allowing(actions - _BOUND), *_allowing(actions & _BOUND, Condition=_OF_PROJECT)]),
            "## The policies of a pipeline\n",
            f"Of the role that releases, with {_listed(frozenset(f'capctl {name}' for name in _RELEASES))}. Who may take it, and in which",
            "jobs, is in [ci.md](ci.md).\n",
            _shown(
                [
                    *_allowing(releases - _BOUND - {_PASS_ROLE}),
                    *_allowing(releases & _BOUND, Condition=_OF_PROJECT),
                    *_allowing({_PASS_ROLE}, Resource="arn:aws:iam::ACCOUNT:role/PROJECT-*"),
                ]
            ),
            "Of the role that looks at what a merge request would release, and at night at what drifted: the actions of `capctl release",
            "--dry-run`, `image build` and `drift` that change nothing.\n",
            _shown(_allowing(looks)),
        ]
    )


def _allowing(actions: Collection[str], **bounds: Any) -> list[dict[str, Any]]:
    """The statement, to be put among others."""
    return [{"Effect": "Allow", "Action": sorted(actions), "Resource": "*", **bounds}]


def _shown(statements: list[dict[str, Any]]) -> str:
    policy = {"Version": "2012-10-17", "Statement": statements}
    return f"```json\n{json.dumps(policy, indent=2)}\n```\n"


def _reads(actions: frozenset[str]) -> str:
    return _listed(frozenset(action for action in actions if is_read(action)))


def _changes(actions: frozenset[str]) -> str:
    return _listed(frozenset(action for action in actions if not is_read(action)))


def _listed(actions: frozenset[str]) -> str:
    return ", ".join(f"`{action}`" for action in sorted(actions))


def _of(statements: list[dict[str, Any]]) -> frozenset[str]:
    return frozenset(action for statement in statements for action in statement["Action"])


def _modules() -> list[ModuleType]:
    return [import_module(f"lifecycle.workflows.{found.name}") for found in pkgutil.iter_modules(workflows.__path__)]


def _steps(module: ModuleType) -> list[StepActions]:
    """The steps that a module defines or takes from another one: those that its plan is made of."""
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and dataclasses.is_dataclass(kind)]
    return [
        StepActions(
            name=kind.__name__, does=(kind.__doc__ or "").splitlines()[0], actions=frozenset(_permissions(kind))
        )
        for kind in kinds
        if {"describe", "apply", "verify"} <= set(dir(kind))
    ]


def _permissions(kind: type) -> tuple[str, ...]:
    default = next(field.default for field in dataclasses.fields(kind) if field.name == "permissions")
    assert isinstance(default, tuple)
    return default
