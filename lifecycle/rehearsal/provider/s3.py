"""Buckets and their settings."""

# ruff: noqa: ARG002 - `Resource` fixes the arguments.
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from lifecycle.rehearsal.provider.resource import Properties, Resource, tag_list, tag_map
from lifecycle.rehearsal.provider.rules import apart, matching, one_of


class Bucket(Resource):
    """A bucket; deletion empties nothing, so a bucket with objects stays, as on AWS."""

    token = "aws:s3/bucket:Bucket"
    applied = frozenset({"bucket", "tags"})
    invented = frozenset({"bucket"})
    fixed = frozenset({"bucket", "bucketPrefix", "bucketNamespace", "objectLockEnabled", "region"})
    rules = (
        matching("bucket", r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "3 to 63 small letters, digits, `.` and `-`"),
        apart("bucket", "bucketPrefix"),
    )

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        s3, name = self._clients["s3"], inputs["bucket"]
        region = s3.meta.region_name
        placed = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=name, **placed)
        self._tag(name, inputs)
        return name, _bucket_computed(name)

    def read(self, resource_id: str) -> Properties | None:
        s3 = self._clients["s3"]
        try:
            s3.head_bucket(Bucket=resource_id)
            tags = tag_map(s3.get_bucket_tagging(Bucket=resource_id)["TagSet"])
        except ClientError as error:
            if error.response["Error"]["Code"] in {"404", "NoSuchBucket"}:
                return None
            if error.response["Error"]["Code"] != "NoSuchTagSet":
                raise
            tags = {}
        return {"bucket": resource_id, "tags": tags, **_bucket_computed(resource_id)}

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        self._tag(resource_id, new)
        return _bucket_computed(resource_id)

    def delete(self, resource_id: str) -> None:
        try:
            self._clients["s3"].delete_bucket(Bucket=resource_id)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise

    def _tag(self, name: str, inputs: Properties) -> None:
        self._clients["s3"].put_bucket_tagging(Bucket=name, Tagging={"TagSet": tag_list(inputs.get("tags"))})


class BucketSetting(Resource):
    """One setting of a bucket; its id is the bucket's name."""

    invented = frozenset()
    fixed = frozenset({"bucket", "region"})

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        self._put(inputs)
        return inputs["bucket"], {}

    def read(self, resource_id: str) -> Properties | None:
        try:
            return {"bucket": resource_id, **self._get(resource_id)}
        except ClientError as error:
            if error.response["Error"]["Code"].startswith(("NoSuch", "ServerSideEncryptionConfigurationNotFound")):
                return None
            raise

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        self._put(new)
        return {}

    def delete(self, resource_id: str) -> None:
        """The setting goes with its bucket, which is deleted next."""

    def _put(self, inputs: Properties) -> None:
        raise NotImplementedError

    def _get(self, bucket: str) -> Properties:
        raise NotImplementedError


class BucketVersioning(BucketSetting):
    """Whether a bucket keeps old versions."""

    token = "aws:s3/bucketVersioning:BucketVersioning"
    applied = frozenset({"bucket", "versioningConfiguration.status"})
    fixed = BucketSetting.fixed | {"expectedBucketOwner"}
    rules = (one_of("versioningConfiguration.status", "Enabled", "Suspended", "Disabled"),)

    def _put(self, inputs: Properties) -> None:
        status = inputs["versioningConfiguration"]["status"]
        self._clients["s3"].put_bucket_versioning(Bucket=inputs["bucket"], VersioningConfiguration={"Status": status})

    def _get(self, bucket: str) -> Properties:
        status = self._clients["s3"].get_bucket_versioning(Bucket=bucket).get("Status", "Disabled")
        return {"versioningConfiguration": {"status": status}}


class BucketEncryption(BucketSetting):
    """How a bucket encrypts at rest."""

    token = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    applied = frozenset({"bucket", "rules.applyServerSideEncryptionByDefault.sseAlgorithm"})
    fixed = BucketSetting.fixed | {"expectedBucketOwner"}
    rules = (one_of("rules.applyServerSideEncryptionByDefault.sseAlgorithm", "AES256", "aws:kms", "aws:kms:dsse"),)

    def _put(self, inputs: Properties) -> None:
        algorithm = inputs["rules"][0]["applyServerSideEncryptionByDefault"]["sseAlgorithm"]
        rules = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}}]
        self._clients["s3"].put_bucket_encryption(
            Bucket=inputs["bucket"], ServerSideEncryptionConfiguration={"Rules": rules}
        )

    def _get(self, bucket: str) -> Properties:
        rules = self._clients["s3"].get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        algorithms = [rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] for rule in rules]
        return {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": name}} for name in algorithms]}


class BucketLifecycle(BucketSetting):
    """After how many days a bucket drops the parts of uploads that were never finished, and what else the rules name."""

    token = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    applied = frozenset(
        {
            "bucket",
            *(f"rules.{name}" for name in ("id", "status", "filter.prefix", "abortIncompleteMultipartUpload")),
            *(f"rules.{name}" for name in ("expiration.days", "noncurrentVersionExpiration.noncurrentDays")),
        }
    )
    fixed = BucketSetting.fixed | {"expectedBucketOwner"}
    rules = (one_of("rules.status", "Enabled", "Disabled"),)
    # The provider's name of an action and of its days, by S3's.
    _ACTIONS: ClassVar = {
        ("AbortIncompleteMultipartUpload", "DaysAfterInitiation"): (
            "abortIncompleteMultipartUpload",
            "daysAfterInitiation",
        ),
        ("Expiration", "Days"): ("expiration", "days"),
        ("NoncurrentVersionExpiration", "NoncurrentDays"): ("noncurrentVersionExpiration", "noncurrentDays"),
    }

    def _put(self, inputs: Properties) -> None:
        rules = [
            {
                "ID": rule["id"],
                "Status": rule["status"],
                "Filter": {"Prefix": rule["filter"]["prefix"]},
                **{
                    action: {days: int(rule[ours][our_days])}
                    for (action, days), (ours, our_days) in self._ACTIONS.items()
                    if ours in rule
                },
            }
            for rule in inputs["rules"]
        ]
        self._clients["s3"].put_bucket_lifecycle_configuration(
            Bucket=inputs["bucket"], LifecycleConfiguration={"Rules": rules}
        )

    def _get(self, bucket: str) -> Properties:
        rules = self._clients["s3"].get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        return {
            "rules": [
                {
                    "id": rule["ID"],
                    "status": rule["Status"],
                    "filter": {"prefix": rule.get("Filter", {}).get("Prefix", "")},
                    **{
                        ours: {our_days: rule[action][days]}
                        for (action, days), (ours, our_days) in self._ACTIONS.items()
                        if action in rule
                    },
                }
                for rule in rules
            ]
        }


class BucketPublicAccessBlock(BucketSetting):
    """Whether a bucket may be opened to the public."""

    token = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    applied = frozenset({"bucket", "blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"})
    _NAMES = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")

    def _put(self, inputs: Properties) -> None:
        block = {name[:1].upper() + name[1:]: inputs.get(name, False) for name in self._NAMES}
        self._clients["s3"].put_public_access_block(Bucket=inputs["bucket"], PublicAccessBlockConfiguration=block)

    def _get(self, bucket: str) -> Properties:
        block = self._clients["s3"].get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        return {name: block[name[:1].upper() + name[1:]] for name in self._NAMES}


class BucketNotification(BucketSetting):
    """Which events of a bucket go to which queues; a bucket has one, which holds them all."""

    token = "aws:s3/bucketNotification:BucketNotification"
    applied = frozenset(
        {"bucket", *(f"queues.{name}" for name in ("id", "queueArn", "events", "filterPrefix", "filterSuffix"))}
    )
    _FILTERS: ClassVar = {"prefix": "filterPrefix", "suffix": "filterSuffix"}

    def delete(self, resource_id: str) -> None:
        try:
            self._clients["s3"].put_bucket_notification_configuration(Bucket=resource_id, NotificationConfiguration={})
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise

    def _put(self, inputs: Properties) -> None:
        self._clients["s3"].put_bucket_notification_configuration(
            Bucket=inputs["bucket"],
            NotificationConfiguration={
                "QueueConfigurations": [self._configuration(queue) for queue in inputs.get("queues") or ()]
            },
        )

    def _get(self, bucket: str) -> Properties:
        found = self._clients["s3"].get_bucket_notification_configuration(Bucket=bucket)
        return {"queues": [self._queue(one) for one in found.get("QueueConfigurations") or ()]}

    def _configuration(self, queue: Properties) -> dict[str, Any]:
        filters = [{"Name": name, "Value": queue[ours]} for name, ours in self._FILTERS.items() if queue.get(ours)]
        return {
            "QueueArn": queue["queueArn"],
            "Events": queue["events"],
            **({"Id": queue["id"]} if queue.get("id") else {}),
            **({"Filter": {"Key": {"FilterRules": filters}}} if filters else {}),
        }

    def _queue(self, configuration: dict[str, Any]) -> Properties:
        filters = configuration.get("Filter", {}).get("Key", {}).get("FilterRules", [])
        return {
            "id": configuration["Id"],
            "queueArn": configuration["QueueArn"],
            "events": configuration["Events"],
            **{self._FILTERS[one["Name"].lower()]: one["Value"] for one in filters},
        }


def _bucket_computed(name: str) -> Properties:
    return {"arn": f"arn:aws:s3:::{name}"}
