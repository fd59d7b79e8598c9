"""The bucket for models, smoke videos and results."""

import pulumi
from pulumi_aws import s3

# Longer than any upload takes; a killed one is paid for until then and seen by nobody.
_UPLOAD_DAYS = 2
# What `ami verify --boot` and its instance tell each other; it removes that itself, unless it is killed.
_BOOTS_FOLDER = "boots"
# Longer than the addresses live by which the instance reads and writes there, which is a week at most.
_BOOT_DAYS = 8


class PrivateBucket(pulumi.ComponentResource):
    """Versioned, encrypted, closed to the public; parts of uploads that were never finished and reports of boots do not stay."""

    def __init__(self, name: str, *, bucket: str, tags: dict[str, str]) -> None:
        super().__init__("capctl:base:PrivateBucket", name)
        within = pulumi.ResourceOptions(parent=self)
        self.bucket = s3.Bucket(name, bucket=bucket, tags=tags, opts=within)
        s3.BucketVersioning(
            name,
            bucket=self.bucket.id,
            versioning_configuration=s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=within,
        )
        s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=self.bucket.id,
            rules=[
                s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                        sse_algorithm="AES256"
                    )
                )
            ],
            opts=within,
        )
        s3.BucketPublicAccessBlock(
            name,
            bucket=self.bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=within,
        )
        s3.BucketLifecycleConfiguration(
            name,
            bucket=self.bucket.id,
            rules=[
                s3.BucketLifecycleConfigurationRuleArgs(
                    id="unfinished-uploads",
                    status="Enabled",
                    filter=s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                    abort_incomplete_multipart_upload=s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                        days_after_initiation=_UPLOAD_DAYS
                    ),
                ),
                s3.BucketLifecycleConfigurationRuleArgs(
                    id="boots",
                    status="Enabled",
                    filter=s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=f"{_BOOTS_FOLDER}/"),
                    expiration=s3.BucketLifecycleConfigurationRuleExpirationArgs(days=_BOOT_DAYS),
                    # In a versioned bucket what was deleted is still there.
                    noncurrent_version_expiration=s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                        noncurrent_days=1
                    ),
                ),
            ],
            opts=within,
        )
        self.register_outputs({})
