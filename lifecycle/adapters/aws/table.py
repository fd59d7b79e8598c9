"""The base stack's table: what releases share of what is remembered."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.adapters.aws.errors import is_missing, translated
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.errors import CapctlError

# What DynamoDB gives by their keys at once.
_ITEMS_AT_ONCE = 100


class ReleasesTable:
    """A DynamoDB table whose items are known by their `id`."""

    def __init__(self, session: AwsSession, name: str) -> None:
        self._session = session
        self.name = name

    @contextmanager
    def doing(self, what: str) -> Iterator[Any]:
        """A client of DynamoDB, whose errors say `what` was done. Raises `CapctlError("base-missing")` where there is no table."""
        with translated(f"{what} in table `{self.name}`"):
            try:
                yield self._session.client("dynamodb")
            except ClientError as error:
                if not is_missing(error):
                    raise
                raise CapctlError(
                    "base-missing", f"The table `{self.name}` does not exist", hint="Run `capctl bootstrap` once"
                ) from error

    def items(self, doing: str, keys: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those of the items that there are, in any order, read consistently."""
        found: list[dict[str, Any]] = []
        with self.doing(doing) as dynamodb:
            for start in range(0, len(keys), _ITEMS_AT_ONCE):
                wanted: Any = {self.name: {"Keys": [*keys[start : start + _ITEMS_AT_ONCE]], "ConsistentRead": True}}
                while wanted:
                    answer = dynamodb.batch_get_item(RequestItems=wanted)
                    found += answer["Responses"].get(self.name, [])
                    # DynamoDB gives no more than 16 MB, or less when it is busy; botocore's own retries do not see that.
                    wanted = answer.get("UnprocessedKeys")
        return found
