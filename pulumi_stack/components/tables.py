"""The tables of what is known between commands and jobs."""

from pulumi_aws import dynamodb

# Seconds since 1970, after which DynamoDB forgets an item.
EXPIRY = "expires_at"


def table(resource: str, *, name: str, tags: dict[str, str], expiry: str | None = None) -> dynamodb.Table:
    """A table of items by `id`, paid by use, encrypted under the account's key of DynamoDB, and to be had back as of any second of 35 days.

    `expiry` names the attribute that says when an item may be forgotten.
    """
    return dynamodb.Table(
        resource,
        name=name,
        billing_mode="PAY_PER_REQUEST",
        hash_key="id",
        attributes=[dynamodb.TableAttributeArgs(name="id", type="S")],
        point_in_time_recovery=dynamodb.TablePointInTimeRecoveryArgs(enabled=True),
        server_side_encryption=dynamodb.TableServerSideEncryptionArgs(enabled=True),
        ttl=dynamodb.TableTtlArgs(attribute_name=expiry, enabled=True) if expiry else None,
        tags=tags,
    )
