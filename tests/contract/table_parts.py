"""The base stack's table in the emulator."""

import uuid

from lifecycle.adapters.aws.session import AwsSession


def make_table(session: AwsSession) -> str:
    """A new table as the base stack makes it; returns its name."""
    name = f"table-{uuid.uuid4().hex[:8]}"
    session.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    return name
