"""The JSON documents of `-o json`, one function per schema: `capctl.job/1` is `job`, `capctl.job-list/1` is `job_list`.

Those of AMIs are in `ami_documents.py` and `ami_removal_documents.py`, those of what the repository holds in
`image_repository_documents.py`.

They are a contract with scripts: a field is added here by hand or not at all, and taken away or given another meaning only with a
higher version. Sizes are in bytes and times are ISO 8601 in UTC, with `Z` at their end, unless a field's name says otherwise; `null` is
what is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lifecycle.config.origins import Setting
    from lifecycle.domain.check import Check
    from lifecycle.domain.checkout import Checkout
    from lifecycle.domain.image import TaggedImage
    from lifecycle.domain.image_report import ImageReport
    from lifecycle.domain.models import ModelSet
    from lifecycle.domain.plan import Done, Plan, Step
    from lifecycle.domain.push_preview import PushPreview
    from lifecycle.domain.release import Pointer
    from lifecycle.domain.shipment import StagePlan
    from lifecycle.domain.smoke import SmokeReport
    from lifecycle.errors import CapctlError
    from lifecycle.ports.code import CodeLayer, PushedImage
    from lifecycle.ports.stack import BaseOutputs
    from lifecycle.workflows.verify_models import ModelsReport
    from lifecycle.workflows.write_contract import WrittenContract

Document = dict[str, Any]


def error(failure: CapctlError) -> Document:
    """Why a command failed. A command that answers with a document of its own even when it fails prints that one instead.

    `evidence` is what a failed smoke leaves: its report under `smoke`, or the job that did not succeed under `job` and how far it came
    under `timeline`.
    """
    from lifecycle.cli.job_documents import job  # which imports this module
    from lifecycle.cli.smoke_documents import smoke, timeline

    # Evidence of another name has no document: the error is told without it.
    shown: dict[str, Callable[[Any], Mapping[str, Any]]] = {"smoke": smoke, "job": job, "timeline": timeline}
    return {
        "code": failure.code,
        "message": failure.message,
        "hint": failure.hint,
        "details": list(failure.details),
        "evidence": {name: shown[name](found) for name, found in failure.evidence.items() if name in shown},
        "exit_code": int(failure.exit_code),
    }


def plan(planned: Plan, *, push: PushPreview | None = None, stages: Sequence[StagePlan] = ()) -> Document:
    """What a command would do, and how it would go back; `permissions` are the IAM actions that all of it takes.

    `stages` are there for `capctl release` alone: the plan of each, in order. Unless it `is_known`, an earlier stage decides its steps;
    its `details` then tell what they will be, and it is in neither `steps` nor `permissions`.

    `push` is there for `capctl image push` and `capctl release` alone: what would be sent. In it `known` is the image that the registry has
    under the tag already, `last` the one pushed last from here, `changes` are the files that differ from that one, and `to_send` is `null`
    where nothing would be sent; `uncommitted` are files that are not as in `commit`, git's HEAD, and `untracked` those that would be code
    if git tracked them.
    """

    def listed(steps: tuple[Step[Any], ...]) -> list[Document]:
        return [{"step": step.describe()} for step in steps]

    every = (*planned.steps, *planned.after, *planned.undo)
    return {
        "title": planned.title,
        "because": planned.because,
        "details": list(planned.details),
        "steps": listed(planned.steps),
        "after": listed(planned.after),
        "undo": listed(planned.undo),
        "permissions": sorted({action for step in every for action in step.permissions}),
        **({"stages": [_stage_plan(stage) for stage in stages]} if stages else {}),
        **({"push": _push(push)} if push else {}),
    }


def _stage_plan(stage: StagePlan) -> Document:
    return {"stage": stage.name, "is_known": stage.is_known, **plan(stage.plan)}


def _push(preview: PushPreview) -> Document:
    changes, size = preview.changes, preview.to_send
    return {
        "treehash": preview.treehash,
        "tag": preview.tag,
        "base": str(preview.base.ref),
        "known": str(preview.known) if preview.known else None,
        "last": str(preview.last) if preview.last else None,
        "changes": changes
        and {"added": list(changes.added), "changed": list(changes.changed), "removed": list(changes.removed)},
        "to_send": size
        and {
            "bytes": size.total_bytes,
            "layer_bytes": size.layer_bytes,
            "config_bytes": size.config_bytes,
            "manifest_bytes": size.manifest_bytes,
        },
        "commit": preview.source.commit,
        "uncommitted": list(preview.source.uncommitted),
        "untracked": list(preview.source.untracked),
    }


def config_values(target: str, settings: Iterable[Setting]) -> Document:
    """Every setting of a target with where it came from; passwords are masked."""
    return {
        "target": target,
        "settings": [{"name": each.name, "value": each.value, "origin": each.origin} for each in settings],
    }


def config_check(path: Path, *, targets: Sequence[str], warnings: Sequence[str]) -> Document:
    """A configuration without mistakes; `warnings` are sentences."""
    return {"config": str(path), "targets": list(targets), "warnings": list(warnings)}


def base(outputs: BaseOutputs, *, changed: bool) -> Document:
    """What the base stack made."""
    return {
        "bucket": outputs.bucket,
        "repository": outputs.repository,
        "table": outputs.table,
        "log_group": outputs.log_group,
        "job_role_arn": outputs.job_role_arn,
        "execution_role_arn": outputs.execution_role_arn,
        "instance_profile_arn": outputs.instance_profile_arn,
        "queue_url": outputs.queue_url,
        "dead_letters_url": outputs.dead_letters_url,
        "tasks_table": outputs.tasks_table,
        "subnet_ids": list(outputs.subnet_ids),
        "security_group_ids": list(outputs.security_group_ids),
        "changed": changed,
    }


def models_lock(models: ModelSet, *, changed: bool) -> Document:
    """The locked model set; `changed` says whether the lock file was written."""
    return {"digest": models.digest, "files": len(models.files), "bytes": models.total_bytes, "changed": changed}


def models_contract(written: WrittenContract, *, changed: bool) -> Document:
    """The contract of a runtime, and the digest of its file; `changed` says whether it was written."""
    return {"digest": written.digest, "contract": written.document, "changed": changed}


def models_push(models: ModelSet, *, changed: bool) -> Document:
    """The model set in the bucket; `changed` says whether anything was uploaded."""
    return models_lock(models, changed=changed)


def models_verification(report: ModelsReport) -> Document:
    """The model set as the lock has it, and in what the source differs, one line per path."""
    return {"digest": report.models.digest, "ok": not report.problems, "problems": list(report.problems)}


def image_base(image: TaggedImage, *, changed: bool) -> Document:
    """The base image of the current lock; `changed` says whether it was built."""
    return {"image": str(image.ref), "tag": image.tag, "changed": changed}


def code_layer(layer: CodeLayer, source: Checkout) -> Document:
    """The code of the working tree as one layer; `uncommitted` are its files that are not as in `commit`, git's HEAD, `untracked` those
    that it lacks because git does not track them."""
    return {
        "tag": layer.tag,
        "treehash": layer.treehash,
        "files": layer.files,
        "unpacked_bytes": layer.unpacked_bytes,
        "compressed_bytes": layer.compressed_bytes,
        "commit": source.commit,
        "uncommitted": list(source.uncommitted),
        "untracked": list(source.untracked),
    }


def image(pushed: PushedImage, source: Checkout) -> Document:
    """The code image of the working tree, and what its push cost; `uncommitted` are its files that are not as in `commit`, git's HEAD,
    `untracked` those that it lacks because git does not track them."""
    return {
        "image": str(pushed.ref),
        "tag": pushed.tag,
        "changed": not pushed.unchanged,
        "requests": pushed.requests,
        "bytes_sent": pushed.bytes_sent,
        "commit": source.commit,
        "uncommitted": list(source.uncommitted),
        "untracked": list(source.untracked),
    }


def image_report(report: ImageReport) -> Document:
    """What an image holds and costs, and the rules that it breaks; `path` and `layer` are "" for a rule about the whole image.

    `packages_compared` is false where there was no lock to compare them with. `runtime_contract` is the digest (hex) of the runtime's
    contract that its jobs need on their AMI, `null` for none.
    """
    return {
        "image": str(report.ref),
        "ok": not report.violations,
        "runtime_contract": report.runtime.sha256 if report.runtime else None,
        "packages_compared": report.packages_compared,
        "compressed_bytes": report.compressed_bytes,
        "unpacked_bytes": report.unpacked_bytes,
        "layers": len(report.layers),
        "files": report.files,
        "budgets": {
            "compressed_bytes": report.budgets.compressed_bytes,
            "unpacked_bytes": report.budgets.unpacked_bytes,
        },
        "violations": [
            {"code": rule.code, "message": rule.message, "path": rule.path, "layer": rule.layer}
            for rule in report.violations
        ],
    }


def deployment(pointer: Pointer, done: Done, *, report: SmokeReport | None) -> Document:
    """Where the pointer is after a deploy; `smoke` is `null` when the release was active already.

    `warnings` say what failed after the pointer had moved.
    """
    from lifecycle.cli.smoke_documents import smoke  # which imports this module

    return {
        "changed": bool(done.results),
        "pointer": pointer_fields(pointer),
        "warnings": [failure.message for _, failure in done.failures],
        "smoke": smoke(report) if report else None,
    }


def rollback(pointer: Pointer, *, changed: bool) -> Document:
    """Where the pointer is after a rollback."""
    return {"changed": changed, "pointer": pointer_fields(pointer)}


def pointer_fields(pointer: Pointer) -> Mapping[str, Any]:
    """The pointer as it stands in every document that has it."""
    return {
        "version": pointer.version,
        "release_id": pointer.release_id,
        "previous_release_id": pointer.previous_release_id,
        "job_queue_arn": pointer.job_queue_arn,
        "job_definition_arn": pointer.job_definition_arn,
        "moved_at": utc(pointer.moved_at),
        "moved_by": pointer.moved_by,
        "reason": pointer.reason,
    }


def checks(found: Iterable[Check]) -> list[Mapping[str, Any]]:
    """Checks as they stand in every document that has some."""
    return [{"name": each.name, "ok": each.ok, "expected": each.expected, "found": each.found} for each in found]


def utc(moment: str) -> str:
    """A time in UTC as every document has it, as precise as it is."""
    return moment.replace("+00:00", "Z")
