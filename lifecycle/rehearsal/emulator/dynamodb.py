"""DynamoDB: the encryption of a table that exists, whose change moto drops."""

from __future__ import annotations

import moto.dynamodb.urls
from moto.core.responses import ActionResult
from moto.dynamodb.responses import DynamoHandler


class RehearsalDynamo(DynamoHandler):  # type: ignore[misc]
    """Keeps what UpdateTable says of encryption."""

    def update_table(self) -> ActionResult:
        if wanted := self.body.get("SSESpecification"):
            table = self.dynamodb_backend.get_table(self.body["TableName"])
            key = wanted.get("KMSMasterKeyId") or table._get_default_encryption_key(table.account_id, table.region_name)
            table.sse_specification = {"KMSMasterKeyId": key, **wanted}
        return super().update_table()


def mend() -> None:
    """Hook the mended calls into moto's URL table."""
    moto.dynamodb.urls.url_paths = {"{0}/": RehearsalDynamo.dispatch}
