"""ECR: the calls about lifecycle policies, and their previews. No policy ever acts by itself here, as on AWS within a day."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.ecr.exceptions import InvalidParameterException, LifecyclePolicyNotFoundException
from moto.ecr.models import ECRBackend
from moto.ecr.responses import ECRResponse

from lifecycle.rehearsal.emulator.ecr_lifecycle import Marked, PolicyInvalid, StoredImage, checked, marked

_PAGE = 100
_REFUSED = (
    "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation failure: "
)


# moto tells the service of an error by the module of its class, so these are codes of one of its own.
_IN_PROGRESS, _NOT_FOUND = "LifecyclePolicyPreviewInProgressException", "LifecyclePolicyPreviewNotFoundException"


class LifecyclePolicies(ECRBackend):  # type: ignore[misc]
    """moto's ECR backend with ECR's own rules for policies, and with previews, which are in progress when they are first looked at."""

    def put_lifecycle_policy(self, registry_id: str, repository_name: str, lifecycle_policy_text: str) -> Any:
        repository = self._get_repository(repository_name, registry_id)
        _check(lifecycle_policy_text)
        repository.lifecycle_policy = lifecycle_policy_text
        return _named(repository) | {"lifecyclePolicyText": lifecycle_policy_text}

    def start_lifecycle_policy_preview(self, registry_id: str | None, repository_name: str, text: str | None) -> Any:
        repository = self._get_repository(repository_name, registry_id)
        if text is None and repository.lifecycle_policy is None:
            raise LifecyclePolicyNotFoundException(repository_name, repository.registry_id)
        text = text or repository.lifecycle_policy
        _check(text)
        if getattr(repository, "preview", {}).get("status") == "IN_PROGRESS":
            raise InvalidParameterException(
                _IN_PROGRESS, f"The preview of repository '{repository_name}' is in progress"
            )
        found = marked(text, self._stored(repository_name), now=datetime.now(UTC))
        repository.preview = {"status": "IN_PROGRESS", "text": text, "found": found}
        return _named(repository) | {"lifecyclePolicyText": text, "status": "IN_PROGRESS"}

    def get_lifecycle_policy_preview(
        self, registry_id: str | None, repository_name: str, *, start: int, most: int | None
    ) -> Any:
        repository = self._get_repository(repository_name, registry_id)
        preview = getattr(repository, "preview", None)
        if preview is None:
            raise InvalidParameterException(_NOT_FOUND, f"There is no preview of repository '{repository_name}'")
        status, found = preview["status"], preview["found"]
        preview["status"] = "COMPLETE"
        answer = _named(repository) | {"lifecyclePolicyText": preview["text"], "status": status}
        if status != "COMPLETE":
            return answer
        end = start + (most or _PAGE)
        expiring = [one for one in found if one.action["type"] == "expire"]
        return (
            answer
            | {
                "previewResults": [_result(one) for one in found[start:end]],
                "summary": {"expiringImageTotalCount": len(expiring)},
            }
            | ({"nextToken": str(end)} if end < len(found) else {})
        )

    def _stored(self, repository_name: str) -> list[StoredImage]:
        return [
            StoredImage(
                digest=image.get_image_digest(),
                tags=tuple(image.image_tags),
                pushed_at=datetime.fromtimestamp(image.image_pushed_at, UTC),
            )
            for image in self.describe_images(repository_name)
        ]


class PolicyCalls(ECRResponse):  # type: ignore[misc]
    """The two calls that moto lacks."""

    def start_lifecycle_policy_preview(self) -> ActionResult:
        names = ("registryId", "repositoryName", "lifecyclePolicyText")
        return ActionResult(self.ecr_backend.start_lifecycle_policy_preview(*map(self._get_param, names)))

    def get_lifecycle_policy_preview(self) -> ActionResult:
        return ActionResult(
            self.ecr_backend.get_lifecycle_policy_preview(
                self._get_param("registryId"),
                self._get_param("repositoryName"),
                start=int(self._get_param("nextToken") or 0),
                most=self._get_param("maxResults"),
            )
        )


def _check(text: str) -> None:
    try:
        checked(text)
    except PolicyInvalid as error:
        raise InvalidParameterException(f"{_REFUSED}{error}'") from error


def _named(repository: Any) -> dict[str, Any]:
    return {"registryId": repository.registry_id, "repositoryName": repository.name}


def _result(found: Marked) -> dict[str, Any]:
    action = {"type": found.action["type"].upper()}
    if storage := found.action.get("targetStorageClass"):
        action["targetStorageClass"] = storage.upper()
    return {
        "imageTags": list(found.image.tags),
        "imageDigest": found.image.digest,
        "imagePushedAt": found.image.pushed_at,
        "action": action,
        "appliedRulePriority": found.rule,
    }
