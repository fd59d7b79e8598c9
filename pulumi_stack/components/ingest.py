"""The way of a new video into the project: the bucket tells a queue, and what nobody could take ends in a second one."""

import json
from typing import Any

import pulumi
from pulumi_aws import s3, sqs

from pulumi_stack.components.roles import INGEST_FOLDER, document
from pulumi_stack.config import BaseConfig

# Who takes a message looks the video up and submits a job, which is done within a minute. Six times that is what AWS asks of a queue
# that a function reads: the function is tried again while it is throttled, and nobody else gets the message meanwhile.
_VISIBILITY_S = 6 * 60
# A message that failed that often fails by itself, and not by the trouble of a moment.
_MOST_RECEIVES = 3
# Long enough for a weekend without anybody.
_INGEST_S = 4 * 86_400
# As long as SQS keeps anything. The age of a message counts from when it was sent first, so this must be the longer one.
_DEAD_S = 14 * 86_400


class Ingest(pulumi.ComponentResource):
    """The queue `<project>-ingest` with one message per new object below `videos/`, and its dead letters in `<project>-dead`."""

    def __init__(self, config: BaseConfig, *, bucket: s3.Bucket, tags: dict[str, str]) -> None:
        super().__init__("capctl:base:Ingest", "ingest")
        within = pulumi.ResourceOptions(parent=self)
        arn = config.arn("sqs", f"{config.project}-ingest")
        self.dead = sqs.Queue(
            "dead",
            name=f"{config.project}-dead",
            sqs_managed_sse_enabled=True,
            message_retention_seconds=_DEAD_S,
            redrive_allow_policy=json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [arn]}, sort_keys=True),
            tags=tags,
            opts=within,
        )
        self.queue = sqs.Queue(
            "ingest",
            name=f"{config.project}-ingest",
            sqs_managed_sse_enabled=True,
            message_retention_seconds=_INGEST_S,
            visibility_timeout_seconds=_VISIBILITY_S,
            redrive_policy=self.dead.arn.apply(_redrive_policy),
            policy=document(_sending(config, arn)),
            tags=tags,
            opts=within,
        )
        s3.BucketNotification(
            "ingest",
            bucket=bucket.id,
            queues=[
                s3.BucketNotificationQueueArgs(
                    id="ingest",
                    queue_arn=self.queue.arn,
                    events=["s3:ObjectCreated:*"],
                    filter_prefix=f"{INGEST_FOLDER}/",
                )
            ],
            opts=within,
        )
        self.register_outputs({})


def _redrive_policy(dead_arn: str) -> str:
    return json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": _MOST_RECEIVES}, sort_keys=True)


def _sending(config: BaseConfig, queue_arn: str) -> dict[str, Any]:
    """Only the one bucket sends; the account is named too, since a bucket's ARN does not tell whose it is."""
    return {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": ["sqs:SendMessage"],
        "Resource": [queue_arn],
        "Condition": {
            "ArnEquals": {"aws:SourceArn": f"arn:{config.partition}:s3:::{config.bucket}"},
            "StringEquals": {"aws:SourceAccount": config.account},
        },
    }
