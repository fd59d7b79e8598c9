"""The project's queue of new videos and its dead letters, as somebody with the AWS CLI sees them."""

from lifecycle.rehearsal.project import PROJECT
from lifecycle.rehearsal.stage import Stage

_WAITING, _TAKEN = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"


class IngestQueue:
    """Both queues of the base stack."""

    def __init__(self, stage: Stage) -> None:
        self._sqs = stage.client("sqs")
        self.url, self.dead_url = (
            self._sqs.get_queue_url(QueueName=f"{PROJECT}-{name}")["QueueUrl"] for name in ("ingest", "dead")
        )

    def messages(self) -> tuple[int, int]:
        """How many can be received, and how many somebody has."""
        found = self._sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=[_WAITING, _TAKEN])["Attributes"]
        return int(found[_WAITING]), int(found[_TAKEN])

    def take_letter(self) -> dict[str, str] | None:
        """The attributes of a dead letter, which is removed; None while there is none."""
        for letter in self._sqs.receive_message(QueueUrl=self.dead_url, MessageAttributeNames=["All"]).get(
            "Messages", ()
        ):
            self._sqs.delete_message(QueueUrl=self.dead_url, ReceiptHandle=letter["ReceiptHandle"])
            return {name: each["StringValue"] for name, each in letter.get("MessageAttributes", {}).items()}
        return None
