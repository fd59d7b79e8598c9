"""The JSON documents of `capctl image` that are not in `documents.py`, by the rules of that file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.cli.documents import utc

if TYPE_CHECKING:
    from lifecycle.workflows.image_policy import PolicyReport

Document = dict[str, Any]


def image_policy(report: PolicyReport) -> Document:
    """What ECR removes by itself. `policy` is the document that ECR takes, `in_force` whether the repository has it.

    `in_force` is `null` before there is a repository, `expiring` without `--preview`.
    """
    return {
        "policy": report.policy.document(),
        "rules": [
            {"priority": rule.priority, "selects": rule.subject, "expires": rule.text} for rule in report.policy.rules
        ],
        "in_force": report.is_in_force,
        "expiring": None
        if report.expiring is None
        else [
            {
                "digest": image.digest,
                "tags": list(image.tags),
                "pushed": utc(image.pushed_at.isoformat(timespec="seconds")),
                "rule": image.rule,
                "needed_by": list(report.needs.get(image.digest, ())),
            }
            for image in report.expiring
        ],
    }
