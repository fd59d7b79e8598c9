"""Tables."""

# ruff: noqa: ARG002 - the protocol `Resource` fixes the arguments.
from botocore.exceptions import ClientError

from lifecycle.rehearsal.provider.clients import Clients
from lifecycle.rehearsal.provider.resource import Properties, changed, tag_list


class Table:
    """A DynamoDB table; its keys are for life."""

    token = "aws:dynamodb/table:Table"

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        dynamodb, name = self._clients["dynamodb"], inputs["name"]
        made = dynamodb.create_table(
            TableName=name,
            BillingMode=inputs["billingMode"],
            KeySchema=[{"AttributeName": inputs["hashKey"], "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": a["name"], "AttributeType": a["type"]} for a in inputs["attributes"]
            ],
            Tags=tag_list(inputs.get("tags")),
        )["TableDescription"]
        dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        self._set_recovery(name, inputs)
        return name, {"arn": made["TableArn"]}

    def read(self, resource_id: str) -> Properties | None:
        dynamodb = self._clients["dynamodb"]
        try:
            table = dynamodb.describe_table(TableName=resource_id)["Table"]
            backups = dynamodb.describe_continuous_backups(TableName=resource_id)["ContinuousBackupsDescription"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return None
            raise
        recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
        return {
            "name": table["TableName"],
            "billingMode": table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
            "hashKey": next(key["AttributeName"] for key in table["KeySchema"] if key["KeyType"] == "HASH"),
            "attributes": [
                {"name": a["AttributeName"], "type": a["AttributeType"]} for a in table["AttributeDefinitions"]
            ],
            "pointInTimeRecovery": {"enabled": recovery == "ENABLED"},
            "arn": table["TableArn"],
        }

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        self._set_recovery(resource_id, new)
        table = self._clients["dynamodb"].describe_table(TableName=resource_id)["Table"]
        self._clients["dynamodb"].tag_resource(ResourceArn=table["TableArn"], Tags=tag_list(new.get("tags")))
        return {"arn": table["TableArn"]}

    def delete(self, resource_id: str) -> None:
        try:
            self._clients["dynamodb"].delete_table(TableName=resource_id)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise

    def replaced_by(self, old: Properties, new: Properties) -> set[str]:
        return changed(old, new) & {"name", "hashKey", "rangeKey"}

    def _set_recovery(self, name: str, inputs: Properties) -> None:
        enabled = inputs.get("pointInTimeRecovery", {}).get("enabled", False)
        self._clients["dynamodb"].update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": enabled}
        )
