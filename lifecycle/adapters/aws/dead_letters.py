"""Messages that nobody could work off, in SQS."""

from lifecycle.adapters.aws.errors import translated
from lifecycle.adapters.aws.session import AwsSession

_COUNTED = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


class SqsDeadLetters:
    """`ports.DeadLetters` of the base stack; `queue_url` is "" for one that an earlier version of capctl made."""

    def __init__(self, session: AwsSession, *, queue_url: str) -> None:
        self._session = session
        self._queue_url = queue_url

    def count(self) -> int:
        if not self._queue_url:
            return 0
        with translated(f"counting the messages of queue `{self._queue_url}`"):
            answer = self._session.client("sqs").get_queue_attributes(
                QueueUrl=self._queue_url, AttributeNames=[*_COUNTED]
            )
        return sum(int(answer["Attributes"][name]) for name in _COUNTED)
