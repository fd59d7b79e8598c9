"""Queues."""

import json
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.rehearsal.provider.resource import Properties, Resource, changed, tag_change
from lifecycle.rehearsal.provider.rules import apart, document, matching, within

_GONE = {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}
# The provider's name of an attribute by SQS's.
_NUMBERS = {
    "DelaySeconds": "delaySeconds",
    "KmsDataKeyReusePeriodSeconds": "kmsDataKeyReusePeriodSeconds",
    "MaximumMessageSize": "maxMessageSize",
    "MessageRetentionPeriod": "messageRetentionSeconds",
    "ReceiveMessageWaitTimeSeconds": "receiveWaitTimeSeconds",
    "VisibilityTimeout": "visibilityTimeoutSeconds",
}
_DOCUMENTS = {"Policy": "policy", "RedriveAllowPolicy": "redriveAllowPolicy", "RedrivePolicy": "redrivePolicy"}
_OTHERS = {"KmsMasterKeyId": "kmsMasterKeyId", "SqsManagedSseEnabled": "sqsManagedSseEnabled"}
_ATTRIBUTES = {**_NUMBERS, **_DOCUMENTS, **_OTHERS}
# What a queue has of which nothing is said.
_DEFAULTS = {
    "delaySeconds": "0",
    "kmsDataKeyReusePeriodSeconds": "300",
    "maxMessageSize": "262144",
    "messageRetentionSeconds": "345600",
    "receiveWaitTimeSeconds": "0",
    "visibilityTimeoutSeconds": "30",
    "sqsManagedSseEnabled": "true",
}


class Queue(Resource):
    """A standard queue; its id is its URL."""

    token = "aws:sqs/queue:Queue"
    applied = frozenset({"name", "tags", *_ATTRIBUTES.values()})
    fixed = frozenset({"name", "namePrefix", "fifoQueue", "region"})
    rules = (
        matching("name", r"[A-Za-z0-9_-]{1,80}", "1 to 80 letters, digits, `_` and `-`"),
        within("delaySeconds", 0, 900),
        within("kmsDataKeyReusePeriodSeconds", 60, 86_400),
        within("maxMessageSize", 1024, 1_048_576),
        within("messageRetentionSeconds", 60, 1_209_600),
        within("receiveWaitTimeSeconds", 0, 20),
        within("visibilityTimeoutSeconds", 0, 43_200),
        *(document(name) for name in _DOCUMENTS.values()),
        apart("kmsMasterKeyId", "sqsManagedSseEnabled"),
        apart("name", "namePrefix"),
    )

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        sqs = self._clients["sqs"]
        url = sqs.create_queue(
            QueueName=inputs["name"],
            Attributes={api: _text(inputs[name]) for api, name in _ATTRIBUTES.items() if inputs.get(name) is not None},
            tags=inputs.get("tags") or {},
        )["QueueUrl"]
        return url, _computed(url, self._attributes(url))

    def read(self, resource_id: str) -> Properties | None:
        try:
            found = self._attributes(resource_id)
            tags = self._clients["sqs"].list_queue_tags(QueueUrl=resource_id).get("Tags", {})
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                return None
            raise
        return {
            "name": found["QueueArn"].rpartition(":")[2],
            **{name: int(found[api]) for api, name in _NUMBERS.items() if api in found},
            **{name: found.get(api) or None for api, name in (_DOCUMENTS | _OTHERS).items()},
            "sqsManagedSseEnabled": found.get("SqsManagedSseEnabled") == "true",
            "tags": tags,
            **_computed(resource_id, found),
        }

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        sqs, names = self._clients["sqs"], changed(old, new)
        attributes = {api: _told(name, new) for api, name in _ATTRIBUTES.items() if name in names}
        if attributes:
            sqs.set_queue_attributes(QueueUrl=resource_id, Attributes=attributes)
        put, gone = tag_change(old, new)
        if gone:
            sqs.untag_queue(QueueUrl=resource_id, TagKeys=gone)
        if put:
            sqs.tag_queue(QueueUrl=resource_id, Tags=put)
        return _computed(resource_id, self._attributes(resource_id))

    def delete(self, resource_id: str) -> None:
        try:
            self._clients["sqs"].delete_queue(QueueUrl=resource_id)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _GONE:
                raise

    def _attributes(self, url: str) -> dict[str, str]:
        answer = self._clients["sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        found: dict[str, str] = answer["Attributes"]
        return found


def _computed(url: str, found: dict[str, str]) -> Properties:
    return {"arn": found["QueueArn"], "url": url}


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool | int) else str(value)


def _told(name: str, new: Properties) -> str:
    """What SQS is told of an attribute; an empty text takes one away."""
    return _DEFAULTS.get(name, "") if new.get(name) is None else _text(new[name])
