"""The job queue: receive one message, keep it, give it back, delete it; botocore's errors become typed ones here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from analyzer.errors import AnalyzerError, DependencyDown, Mismatch

LONG_POLL_S = 20
CONNECT_TIMEOUT_S = 3
# What is said about a message has to fit between a stop signal and its ten seconds.
SAY_TIMEOUT_S = 3
# SQS's limits: of a visibility in seconds, and of an attribute's text that is worth reading.
VISIBILITY_MAX_S = 43_200
REASON_MAX = 1000
_GONE = {
    "AWS.SimpleQueueService.MessageNotInflight",
    "InvalidParameterValue",
    "MessageNotInflight",
    "ReceiptHandleIsInvalid",
}
_REFUSED = {
    "AWS.SimpleQueueService.NonExistentQueue",
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "InvalidAddress",
    "InvalidClientTokenId",
    "QueueDoesNotExist",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


class MessageGone(Exception):
    """The message is no longer this worker's: its visibility ran out, or somebody deleted it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`receives` counts this time too; `receipt` stands for having received it."""

    id: str
    body: str
    receipt: str
    receives: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a message is poison, as attributes of its copy in the dead-letter queue."""

    code: str
    exit_code: int
    message: str


class Queue(Protocol):
    """Raises `DependencyDown` when it does not serve and `Mismatch` when it refuses."""

    def receive(self, visibility_s: int) -> Message | None:
        """Wait a while for one message, which nobody else sees for `visibility_s`."""

    def hide(self, message: Message, visibility_s: int) -> None:
        """Nobody else sees the message for `visibility_s` from now on; 0 gives it back. Raises: MessageGone."""

    def delete(self, message: Message) -> None:
        """The message is done."""

    def bury(self, message: Message, reason: Reason) -> bool:
        """Move a poison message to the dead-letter queue; false where there is none."""


class SqsQueue:
    """`Queue` through boto3; `poison_url` is the dead-letter queue, None where the redrive policy moves messages."""

    def __init__(self, url: str, poison_url: str | None) -> None:
        import boto3
        from botocore.config import Config

        self._url, self._poison_url = url, poison_url

        def client(read_timeout_s: int) -> Any:
            retries = {"mode": "standard", "max_attempts": 2}
            config = Config(connect_timeout=CONNECT_TIMEOUT_S, read_timeout=read_timeout_s, retries=retries)
            return boto3.client("sqs", config=config)

        with self._explained():
            self._polling, self._client = client(LONG_POLL_S + 10), client(SAY_TIMEOUT_S)

    def receive(self, visibility_s: int) -> Message | None:
        with self._explained():
            answer = self._polling.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=1,
                WaitTimeSeconds=LONG_POLL_S,
                VisibilityTimeout=visibility_s,
                AttributeNames=["ApproximateReceiveCount"],
            )
        for each in answer.get("Messages", ()):
            return Message(
                id=each["MessageId"],
                body=each["Body"],
                receipt=each["ReceiptHandle"],
                receives=int(each["Attributes"]["ApproximateReceiveCount"]),
            )
        return None

    def hide(self, message: Message, visibility_s: int) -> None:
        with self._explained():
            self._client.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=message.receipt, VisibilityTimeout=visibility_s
            )

    def delete(self, message: Message) -> None:
        with self._explained():
            self._client.delete_message(QueueUrl=self._url, ReceiptHandle=message.receipt)

    def bury(self, message: Message, reason: Reason) -> bool:
        if self._poison_url is None:
            return False
        texts = {
            "reason_code": ("String", reason.code),
            # SQS takes no control characters, which the text may have from a message or a key.
            "reason": (
                "String",
                re.sub(r"[^\x20-\ud7ff\ue000-\ufffd]", "?", reason.message)[:REASON_MAX] or reason.code,
            ),
            "exit_code": ("Number", str(reason.exit_code)),
            "receives": ("Number", str(message.receives)),
            "message_id": ("String", message.id),
        }
        attributes = {name: {"DataType": kind, "StringValue": text} for name, (kind, text) in texts.items()}
        # First there, then gone here: a message that is cut off in between is in both, never in none.
        with self._explained():
            self._client.send_message(QueueUrl=self._poison_url, MessageBody=message.body, MessageAttributes=attributes)
        self.delete(message)
        return True

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from botocore import exceptions

        try:
            yield
        except exceptions.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _GONE:
                raise MessageGone(str(error)) from error
            raise self._failed(code, refused=code in _REFUSED) from error
        except exceptions.NoRegionError as error:
            what = f"No region is set for the queue `{self._url}`"
            raise Mismatch(
                "region-missing", what, hint="Set AWS_REGION or AWS_DEFAULT_REGION to the queue's"
            ) from error
        except (
            exceptions.NoCredentialsError,
            exceptions.ParamValidationError,
            exceptions.PartialCredentialsError,
            exceptions.ProfileNotFound,
            ValueError,
        ) as error:
            raise self._failed(" ".join(str(error).split())[:300], refused=True) from error
        except (exceptions.BotoCoreError, OSError) as error:
            raise self._failed(" ".join(str(error).split())[:300], refused=False) from error

    def _failed(self, reason: str, *, refused: bool) -> AnalyzerError:
        if refused:
            hint = "Check QUEUE_URL, POISON_QUEUE_URL and the role's sqs permissions"
            return Mismatch("queue-refused", f"The queue `{self._url}` refuses: {reason}", hint=hint)
        return DependencyDown("queue-down", f"The queue `{self._url}` does not serve: {reason}")
