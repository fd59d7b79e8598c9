"""SQS: the attributes of queues, which moto drops or takes whatever they say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import moto.sqs.models
from moto.sqs.exceptions import InvalidAttributeName, InvalidAttributeValue, InvalidParameterValue
from moto.sqs.models import Queue

_LIMITS: Mapping[str, tuple[int, int]] = {
    "DelaySeconds": (0, 900),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
    "MaximumMessageSize": (1024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
}
_ALLOW = "RedriveAllowPolicy"


class RehearsalQueue(Queue):  # type: ignore[misc]
    """A queue that keeps what an update does not mention, and says which queues may redrive to it."""

    BASE_ATTRIBUTES = [*Queue.BASE_ATTRIBUTES, _ALLOW]  # noqa: RUF012 - as the class above has it
    redrive_allow_policy: str | None = None
    _policy_json: dict[str, Any] | None = None

    def _set_attributes(self, attributes: dict[str, Any], now: float | None = None) -> None:
        known = {*self.BASE_ATTRIBUTES, *self.FIFO_ATTRIBUTES, *self.KMS_ATTRIBUTES}
        for name, value in attributes.items():
            if name not in known:
                raise InvalidAttributeName(name)
            if name in _LIMITS and not _LIMITS[name][0] <= int(value) <= _LIMITS[name][1]:
                raise InvalidAttributeValue(name)
        kept = {"Policy": self.policy} if self._policy_json and "Policy" not in attributes else {}
        super()._set_attributes({**kept, **attributes}, now)
        self.redrive_allow_policy = self.redrive_allow_policy or None
        if attributes.get("KmsMasterKeyId"):
            self.sqs_managed_sse_enabled = "false"

    def _setup_dlq(self, policy: Any) -> None:
        super()._setup_dlq(policy)
        target = self.dead_letter_queue
        allowed = json.loads(target.redrive_allow_policy or "{}") if target else {}
        match allowed.get("redrivePermission", "allowAll"):
            case "allowAll":
                return
            case "byQueue" if self.queue_arn in allowed.get("sourceQueueArns", ()):
                return
            case _:
                raise InvalidParameterValue(f"{target.queue_arn} does not allow {self.queue_arn} to redrive to it")


def mend() -> None:
    """Put the queue into the one place by which moto makes them."""
    moto.sqs.models.Queue = RehearsalQueue
