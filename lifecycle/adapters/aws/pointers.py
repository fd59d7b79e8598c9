"""The pointer in DynamoDB: one item, moved by compare-and-set; its past and the retired releases are items beside it."""

from collections.abc import Collection
from dataclasses import MISSING, fields
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.aws.table import ReleasesTable
from lifecycle.domain.release import LOOK_AGAIN, Pointer
from lifecycle.errors import CapctlError

_POINTER = "pointer"
_KEY = {"id": {"S": _POINTER}}
_TEXTS = {field.name: field.default for field in fields(Pointer) if field.name not in {"version", "promoted"}}
_NOT_THERE = "attribute_not_exists(id)"
# So that a refusal tells what stands there, without another call.
_TELLING = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
_REFUSED = "ConditionalCheckFailed"
# Of two writes that meet at one item DynamoDB refuses one, whatever its condition says; the other is done in milliseconds.
_CONFLICT, _ATTEMPTS = "TransactionConflict", 5


class DynamoPointers:
    """`ports.Pointers` as items of the base stack's table."""

    def __init__(self, session: AwsSession, *, table: str) -> None:
        self._table = ReleasesTable(session, table)

    def read(self) -> Pointer | None:
        with self._table.doing("reading the pointer") as dynamodb:
            answer = dynamodb.get_item(TableName=self._table.name, Key=_KEY, ConsistentRead=True)
        item = answer.get("Item")
        return _pointer(item) if item else None

    def move(self, pointer: Pointer, *, expected_version: int) -> None:
        item = _item(pointer)
        refused = self._write(
            "moving the pointer",
            {"Put": {"Item": {**_KEY, **item}, **_version_is(expected_version), **_TELLING}},
            {"Put": {"Item": {**_key(_POINTER, pointer.version), **item}}},
            {"ConditionCheck": {"Key": _key("retired", pointer.release_id), "ConditionExpression": _NOT_THERE}},
        )
        if 0 in refused or 1 in refused:
            found = refused.get(0)
            told = f": {_pointer(found).told}" if found else ""
            raise CapctlError(
                "pointer-moved",
                f"Somebody else moved the pointer in table `{self._table.name}` since version {expected_version}{told}",
                hint=LOOK_AGAIN,
            )
        if refused:
            raise CapctlError(
                "release-retired",
                f"Release `{pointer.release_id}` is being removed, or was",
                hint="Deploy it again: `capctl deploy --ami … --image …`; `capctl status` lists the others",
            )

    def past(self, versions: Collection[int]) -> tuple[Pointer, ...]:
        items = self._table.items("reading the past of the pointer", [_key(_POINTER, number) for number in versions])
        return tuple(sorted(map(_pointer, items), key=lambda pointer: pointer.version, reverse=True))

    def retire(self, release_id: str) -> None:
        names = ("release_id", "previous_release_id")
        refused = self._write(
            f"retiring release `{release_id}`",
            {"Put": {"Item": _key("retired", release_id)}},
            {
                "ConditionCheck": {
                    "Key": _KEY,
                    "ConditionExpression": " AND ".join(f"({name} <> :id)" for name in names) + f" OR {_NOT_THERE}",
                    "ExpressionAttributeValues": {":id": {"S": release_id}},
                }
            },
        )
        if refused:
            raise CapctlError(
                "release-active",
                f"The pointer names release `{release_id}`, as the active one or the one before, so it is not removed",
                hint="Look at `capctl status`: somebody else moved the pointer to it",
            )

    def readmit(self, release_id: str) -> None:
        with self._table.doing(f"readmitting release `{release_id}`") as dynamodb:
            dynamodb.delete_item(TableName=self._table.name, Key=_key("retired", release_id))

    def _write(self, doing: str, *actions: dict[str, dict[str, Any]]) -> dict[int, dict[str, Any]]:
        """All of the actions, or none; returns the places of those whose condition did not hold, with the item that an action asked for."""
        request = [
            {name: {"TableName": self._table.name, **action}} for each in actions for name, action in each.items()
        ]
        with self._table.doing(doing) as dynamodb:
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    dynamodb.transact_write_items(TransactItems=request)
                except ClientError as error:
                    reasons = [*(error.response.get("CancellationReasons") or ())]
                    codes = [reason.get("Code", "") for reason in reasons]
                    refused = {
                        place: reasons[place].get("Item", {}) for place, code in enumerate(codes) if code == _REFUSED
                    }
                    if refused:
                        return refused
                    if _CONFLICT not in codes or attempt == _ATTEMPTS:
                        raise
                else:
                    break
        return {}


def _key(kind: str, name: str | int) -> dict[str, Any]:
    return {"id": {"S": f"{kind}#{name}"}}


def _version_is(expected: int) -> dict[str, Any]:
    if not expected:
        return {"ConditionExpression": _NOT_THERE}
    return {
        "ConditionExpression": "#version = :expected",
        "ExpressionAttributeNames": {"#version": "version"},
        "ExpressionAttributeValues": {":expected": {"N": str(expected)}},
    }


def _item(pointer: Pointer) -> dict[str, Any]:
    return {
        "version": {"N": str(pointer.version)},
        **{name: {"S": getattr(pointer, name)} for name in _TEXTS},
        "promoted": {"L": [{"S": release_id} for release_id in pointer.promoted]},
    }


def _pointer(item: dict[str, Any]) -> Pointer:
    said = {name for name, default in _TEXTS.items() if name in item or default is MISSING}
    promoted = item.get("promoted", {"L": []})["L"]
    return Pointer(
        version=int(item["version"]["N"]),
        promoted=tuple(entry["S"] for entry in promoted),
        **{name: item[name]["S"] for name in said},
    )
