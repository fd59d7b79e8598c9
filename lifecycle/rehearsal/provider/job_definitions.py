"""Job definitions."""

# ruff: noqa: ARG002 - `Resource` fixes the arguments.
import json
from typing import Any

from lifecycle.rehearsal.provider.batch import NAME, BatchResource
from lifecycle.rehearsal.provider.resource import Properties
from lifecycle.rehearsal.provider.rules import Rule, document, matching, one_of, within


def _pattern(path: str, pattern: str) -> Rule:
    return matching(path, f"(?s:{pattern})", "letters, digits, `.`, `:` and blanks, and `*` at the end only")


class JobDefinition(BatchResource):
    """A change registers another revision and deregisters the one before; a revision itself cannot change."""

    token = "aws:batch/jobDefinition:JobDefinition"
    applied = frozenset(
        {
            "name",
            "type",
            "containerProperties",
            "platformCapabilities",
            "propagateTags",
            "parameters",
            "retryStrategy",
            "timeout",
            "tags",
        }
    )
    fixed = frozenset({"name", "type", "region"})
    rules = (
        NAME,
        one_of("type", "container"),
        one_of("platformCapabilities", "EC2"),
        document("containerProperties"),
        within("retryStrategy.attempts", 1, 10),
        _pattern("retryStrategy.evaluateOnExits.onExitCode", r"[0-9]{1,512}\*?"),
        _pattern("retryStrategy.evaluateOnExits.onReason", r"[0-9A-Za-z.:\s]{0,511}\*?"),
        _pattern("retryStrategy.evaluateOnExits.onStatusReason", r"[0-9A-Za-z.:\s]{0,511}\*?"),
        Rule(
            path="retryStrategy",
            holds=lambda strategy: len(strategy.get("evaluateOnExits") or ()) <= 5,
            expected="must have at most 5 `evaluateOnExits`",
        ),
        Rule(
            path="timeout.attemptDurationSeconds", holds=lambda seconds: seconds >= 60, expected="must be at least 60"
        ),
    )

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        retry, timeout = inputs.get("retryStrategy"), inputs.get("timeout")
        request: dict[str, Any] = {
            "jobDefinitionName": inputs["name"],
            "type": inputs["type"],
            "containerProperties": json.loads(inputs["containerProperties"]),
            "platformCapabilities": inputs.get("platformCapabilities", ["EC2"]),
            "propagateTags": inputs.get("propagateTags", False),
            "parameters": inputs.get("parameters", {}),
            "tags": inputs.get("tags", {}),
        }
        if retry:
            rules = retry.get("evaluateOnExits", [])
            request["retryStrategy"] = {"attempts": retry["attempts"], "evaluateOnExit": rules}
        if timeout:
            request["timeout"] = timeout
        made = self._clients["batch"].register_job_definition(**request)
        arn = made["jobDefinitionArn"]
        return arn, {"arn": arn, "arnPrefix": arn.rpartition(":")[0], "revision": made["revision"]}

    def read(self, resource_id: str) -> Properties | None:
        answer = self._clients["batch"].describe_job_definitions(jobDefinitions=[resource_id])["jobDefinitions"]
        found = [item for item in answer if item["status"] == "ACTIVE"]
        if not found:
            return None
        return {
            "name": found[0]["jobDefinitionName"],
            "type": found[0]["type"],
            "containerProperties": json.dumps(_said(found[0]["containerProperties"]), sort_keys=True),
            "platformCapabilities": found[0].get("platformCapabilities") or ["EC2"],
            "propagateTags": found[0].get("propagateTags", False),
            "parameters": found[0].get("parameters") or {},
            "retryStrategy": _retry(found[0].get("retryStrategy") or {}),
            "timeout": found[0].get("timeout"),
            "tags": found[0].get("tags", {}),
            "arn": found[0]["jobDefinitionArn"],
            "revision": found[0]["revision"],
        }

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        _, computed = self.create(new)
        self._clients["batch"].deregister_job_definition(jobDefinition=resource_id)
        return computed

    def delete(self, resource_id: str) -> None:
        """All active revisions of the name go, as with the real provider."""
        batch = self._clients["batch"]
        name = resource_id.rpartition("/")[2].partition(":")[0]
        answer = batch.describe_job_definitions(jobDefinitionName=name, status="ACTIVE")
        for revision in answer["jobDefinitions"]:
            batch.deregister_job_definition(jobDefinition=revision["jobDefinitionArn"])


def _retry(strategy: dict[str, Any]) -> Properties:
    # Batch gives them in small letters.
    rules = [{**rule, "action": rule["action"].upper()} for rule in strategy.get("evaluateOnExit") or ()]
    return {
        **({"attempts": strategy["attempts"]} if "attempts" in strategy else {}),
        **({"evaluateOnExits": rules} if rules else {}),
    }


def _said(properties: dict[str, Any]) -> dict[str, Any]:
    """What was said of a container: Batch names the rest too, empty."""
    return {name: value for name, value in properties.items() if value not in ([], {}, None)}
