"""The pointer in DynamoDB: one item, moved by compare-and-set."""

from dataclasses import fields
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.adapters.aws.errors import error_code, is_missing, translated
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.release import Pointer
from lifecycle.errors import CapctlError

_KEY = {"id": {"S": "pointer"}}
_TEXTS = tuple(field.name for field in fields(Pointer) if field.name not in {"version", "promoted"})


class DynamoPointers:
    """`ports.Pointers` as the item `pointer` of the base stack's table."""

    def __init__(self, session: AwsSession, *, table: str) -> None:
        self._session = session
        self._table = table

    def read(self) -> Pointer | None:
        with translated(f"reading the pointer in table `{self._table}`"):
            try:
                answer = self._session.client("dynamodb").get_item(TableName=self._table, Key=_KEY, ConsistentRead=True)
            except ClientError as error:
                if is_missing(error):
                    raise self._table_missing() from error
                raise
        item = answer.get("Item")
        return _pointer(item) if item else None

    def move(self, pointer: Pointer, *, expected_version: int) -> None:
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(id)"}
        if expected_version:
            condition = {
                "ConditionExpression": "#version = :expected",
                "ExpressionAttributeNames": {"#version": "version"},
                "ExpressionAttributeValues": {":expected": {"N": str(expected_version)}},
            }
        with translated(f"moving the pointer in table `{self._table}`"):
            try:
                self._session.client("dynamodb").put_item(
                    TableName=self._table, Item={**_KEY, **_item(pointer)}, **condition
                )
            except ClientError as error:
                if error_code(error) == "ConditionalCheckFailedException":
                    raise CapctlError(
                        "pointer-moved",
                        f"Somebody else moved the pointer in table `{self._table}` since version {expected_version}",
                        hint="Look at `capctl status`, then decide again",
                    ) from error
                if is_missing(error):
                    raise self._table_missing() from error
                raise

    def _table_missing(self) -> CapctlError:
        return CapctlError(
            "base-missing", f"The pointer's table `{self._table}` does not exist", hint="Run `capctl bootstrap` once"
        )


def _item(pointer: Pointer) -> dict[str, Any]:
    return {
        "version": {"N": str(pointer.version)},
        **{name: {"S": getattr(pointer, name)} for name in _TEXTS},
        "promoted": {"L": [{"S": release_id} for release_id in pointer.promoted]},
    }


def _pointer(item: dict[str, Any]) -> Pointer:
    values: dict[str, Any] = {name: item[name]["S"] for name in _TEXTS}
    promoted = item.get("promoted", {"L": []})["L"]
    return Pointer(version=int(item["version"]["N"]), promoted=tuple(entry["S"] for entry in promoted), **values)
