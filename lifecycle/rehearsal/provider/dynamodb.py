"""Tables."""

from typing import Any

from botocore.exceptions import ClientError

from lifecycle.rehearsal.provider.resource import Properties, Resource, changed, tag_change, tag_list, tag_map
from lifecycle.rehearsal.provider.rules import UNKNOWN, Rule, apart, matching, one_of

_WAIT = {"Delay": 1, "MaxAttempts": 60}


def _has_its_attributes(inputs: Properties) -> bool:
    """Whether the attributes are those of the keys, as far as they are known."""
    keys = [inputs[key] for key in ("hashKey", "rangeKey") if inputs.get(key)]
    attributes = inputs.get("attributes") or ()
    return UNKNOWN in (*keys, attributes) or {one["name"] for one in attributes} == {*keys}


class Table(Resource):
    """A DynamoDB table without indexes; its keys are for life."""

    token = "aws:dynamodb/table:Table"
    applied = frozenset(
        {
            "name",
            "billingMode",
            "readCapacity",
            "writeCapacity",
            "hashKey",
            "rangeKey",
            "attributes",
            "deletionProtectionEnabled",
            "pointInTimeRecovery.enabled",
            "serverSideEncryption.enabled",
            "ttl",
            "tags",
        }
    )
    fixed = frozenset({"name", "hashKey", "rangeKey", "region"})
    rules = (
        matching("name", r"[A-Za-z0-9_.-]{3,255}", "3 to 255 letters, digits, `_`, `-` and `.`"),
        one_of("billingMode", "PAY_PER_REQUEST", "PROVISIONED"),
        one_of("attributes.type", "B", "N", "S"),
        Rule(
            path="",
            names="attributes",
            holds=_has_its_attributes,
            expected="must be those of the keys: all attributes must be indexed, unused attributes are refused",
        ),
        Rule(
            path="ttl",
            holds=lambda ttl: not ttl.get("enabled") or bool(ttl.get("attributeName")),
            expected="must name an attribute (`attributeName`) when it is enabled",
        ),
        apart("name", "namePrefix"),
    )

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        dynamodb, name = self._clients["dynamodb"], inputs["name"]
        keys = [(inputs.get("hashKey"), "HASH"), (inputs.get("rangeKey"), "RANGE")]
        made = dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys if key],
            AttributeDefinitions=[
                {"AttributeName": a["name"], "AttributeType": a["type"]} for a in inputs["attributes"]
            ],
            DeletionProtectionEnabled=inputs.get("deletionProtectionEnabled") or False,
            SSESpecification=_encryption(inputs),
            Tags=tag_list(inputs.get("tags")),
            **_billing(inputs),
        )["TableDescription"]
        dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig=_WAIT)
        self._set_recovery(name, inputs)
        if (inputs.get("ttl") or {}).get("enabled"):
            self._set_expiry(name, inputs["ttl"])
        return name, {"arn": made["TableArn"]}

    def read(self, resource_id: str) -> Properties | None:
        dynamodb = self._clients["dynamodb"]
        try:
            table = dynamodb.describe_table(TableName=resource_id)["Table"]
            backups = dynamodb.describe_continuous_backups(TableName=resource_id)["ContinuousBackupsDescription"]
            expiry = dynamodb.describe_time_to_live(TableName=resource_id)["TimeToLiveDescription"]
            tags = dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return None
            raise
        keys = {key["KeyType"]: key["AttributeName"] for key in table["KeySchema"]}
        capacity = table.get("ProvisionedThroughput") or {}
        encryption = table.get("SSEDescription") or {}
        return {
            "name": table["TableName"],
            "billingMode": table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
            "readCapacity": capacity.get("ReadCapacityUnits") or None,
            "writeCapacity": capacity.get("WriteCapacityUnits") or None,
            "hashKey": keys["HASH"],
            "rangeKey": keys.get("RANGE"),
            "attributes": [
                {"name": a["AttributeName"], "type": a["AttributeType"]} for a in table["AttributeDefinitions"]
            ],
            "deletionProtectionEnabled": table.get("DeletionProtectionEnabled", False),
            "pointInTimeRecovery": {
                "enabled": backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
            },
            "serverSideEncryption": {"enabled": encryption.get("Status") in {"ENABLED", "UPDATING"}},
            "ttl": {
                "enabled": expiry.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"},
                **({"attributeName": expiry["AttributeName"]} if "AttributeName" in expiry else {}),
            },
            "tags": tag_map(tags),
            "arn": table["TableArn"],
        }

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        dynamodb, names = self._clients["dynamodb"], changed(old, new)
        # DynamoDB takes one of these at a time.
        for named, request in (
            ({"billingMode", "readCapacity", "writeCapacity"}, lambda: _billing(new)),
            ({"serverSideEncryption"}, lambda: {"SSESpecification": _encryption(new)}),
            (
                {"deletionProtectionEnabled"},
                lambda: {"DeletionProtectionEnabled": new.get("deletionProtectionEnabled") or False},
            ),
        ):
            if names & named:
                dynamodb.update_table(TableName=resource_id, **request())
                dynamodb.get_waiter("table_exists").wait(TableName=resource_id, WaiterConfig=_WAIT)
        if "pointInTimeRecovery" in names:
            self._set_recovery(resource_id, new)
        if "ttl" in names:
            self._set_expiry(resource_id, new.get("ttl") or {**old["ttl"], "enabled": False})
        arn = dynamodb.describe_table(TableName=resource_id)["Table"]["TableArn"]
        put, gone = tag_change(old, new)
        if gone:
            dynamodb.untag_resource(ResourceArn=arn, TagKeys=gone)
        if put:
            dynamodb.tag_resource(ResourceArn=arn, Tags=tag_list(put))
        return {"arn": arn}

    def delete(self, resource_id: str) -> None:
        try:
            self._clients["dynamodb"].delete_table(TableName=resource_id)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise

    def _set_recovery(self, name: str, inputs: Properties) -> None:
        enabled = (inputs.get("pointInTimeRecovery") or {}).get("enabled", False)
        self._clients["dynamodb"].update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": enabled}
        )

    def _set_expiry(self, name: str, ttl: Properties) -> None:
        self._clients["dynamodb"].update_time_to_live(
            TableName=name,
            TimeToLiveSpecification={"AttributeName": ttl["attributeName"], "Enabled": ttl.get("enabled", False)},
        )


def _billing(inputs: Properties) -> dict[str, Any]:
    mode = inputs.get("billingMode") or "PROVISIONED"
    capacity = {
        api: inputs[name]
        for api, name in (("ReadCapacityUnits", "readCapacity"), ("WriteCapacityUnits", "writeCapacity"))
        if inputs.get(name)
    }
    return {"BillingMode": mode, **({"ProvisionedThroughput": capacity} if mode == "PROVISIONED" else {})}


def _encryption(inputs: Properties) -> dict[str, Any]:
    """Under the account's key of DynamoDB; else under one of DynamoDB's own, as without a word of it."""
    enabled = (inputs.get("serverSideEncryption") or {}).get("enabled", False)
    return {"Enabled": enabled, **({"SSEType": "KMS"} if enabled else {})}
