"""boto3 clients of a target, and the guard that keeps capctl in the target's account.

boto3 is imported with the first client: a code push whose registry token is still good makes none.
"""

from __future__ import annotations

from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

from lifecycle.config.target import Target
from lifecycle.errors import Denied, Interrupted, UsageError

if TYPE_CHECKING:
    import boto3
    from botocore.credentials import ReadOnlyCredentials

# Read by every AWS SDK; what it holds stands in the User-Agent of each call, and so in CloudTrail.
APP_ID_VARIABLE = "AWS_SDK_UA_APP_ID"


class AwsSession:
    """Clients by service name. The first client checks that the credentials belong to the target's account; AWS is asked once for each
    access key.

    Calls carry `app_id`, which names the command, such as `capctl.ami.bake`; None where no command runs.
    """

    def __init__(self, target: Target, *, command: str = "") -> None:
        self.app_id = command.replace(" ", ".") or None
        self._target = target
        self._clients: dict[tuple[str, str | None], Any] = {}
        self._lock = Lock()
        self._asking = Lock()

    def client(self, service: str, region: str | None = None) -> Any:
        """A thread-safe boto3 client, of the target's region unless another is named.

        Raises `Denied` without credentials or in another account.
        """
        with self._asking:
            self._checked_account  # noqa: B018 - asks AWS once, before anything else is asked or changed
        return self._client(service, region)

    def frozen_credentials(self) -> ReadOnlyCredentials:
        """The credentials of this moment, for a program that resolves none. Raises `Denied("credentials-missing")`."""
        from lifecycle.adapters.aws.errors import translated

        with translated("resolving AWS credentials"):
            found = self._boto.get_credentials()
            if found is not None:
                return found.get_frozen_credentials()
        raise Denied(
            "credentials-missing",
            f"No AWS credentials were found for target `{self._target.name}`",
            hint="Set AWS_PROFILE, or log in with `aws sso login`",
        )

    @cached_property
    def _boto(self) -> boto3.Session:
        import boto3
        from botocore.exceptions import ProfileNotFound

        try:
            return boto3.Session(profile_name=self._target.profile, region_name=self._target.region)
        except ProfileNotFound as error:
            given, name = self._target.profile, error.kwargs["profile"]
            where = f"of target `{self._target.name}`" if given else "that AWS_PROFILE names"
            remedy = "Correct `profile` in capctl.yaml" if given else "Correct or unset AWS_PROFILE"
            raise UsageError(
                "profile-missing",
                f"AWS profile `{name}` {where} does not exist",
                hint=f"{remedy}, or run `aws configure --profile {name}`",
            ) from error

    def _client(self, service: str, region: str | None = None) -> Any:
        from botocore.config import Config

        with self._lock:
            if (service, region) not in self._clients:
                config = Config(
                    retries={"mode": "standard", "max_attempts": 5},
                    connect_timeout=10,
                    max_pool_connections=32,
                    user_agent_appid=self.app_id,
                )
                if service == "s3":
                    # A presigned URL of the older signature is refused by newer regions and for encrypted buckets; a bucket of an
                    # emulator has no host name of its own.
                    style = {"addressing_style": "path"} if self._target.endpoint_url else {}
                    config = config.merge(Config(s3=style, signature_version="s3v4"))
                client = self._boto.client(
                    service, region_name=region, endpoint_url=self._target.endpoint_url, config=config
                )
                client.meta.events.register_first("needs-retry", _let_signals_through)
                client.meta.events.register_first("needs-retry.batch.SubmitJob", _ask_once)
                self._clients[service, region] = client
            return self._clients[service, region]

    @cached_property
    def _checked_account(self) -> str:
        from lifecycle.adapters.aws.errors import translated
        from lifecycle.adapters.aws.known_account import KnownAccount

        with translated(f"asking AWS whose credentials these are ({self._target.region})"):
            credentials = self._boto.get_credentials()
            known = KnownAccount(self._target, credentials.access_key) if credentials else None
            account = known.read() if known else None
            if account is None:
                account = str(self._client("sts").get_caller_identity()["Account"])
                if known:
                    known.write(account)
        if account != self._target.account:
            raise Denied(
                "account-mismatch",
                f"The credentials belong to account {account}, target `{self._target.name}` is account {self._target.account}",
                hint="Use the credentials of the target's account, or choose another `--target`",
            )
        return account


def _let_signals_through(*, caught_exception: Exception | None, **_: object) -> None:
    """botocore takes whatever is raised while a request is under way for trouble on the line, and would ask again."""
    cause = getattr(caught_exception, "kwargs", {}).get("error", caught_exception)
    if isinstance(cause, Interrupted):
        raise cause


def _ask_once(*, response: tuple[Any, dict[str, Any]] | None, caught_exception: Exception | None, **_: object) -> None:
    """What SubmitJob did nobody knows whose answer is lost, and Batch knows no token by which the same job is not submitted twice.

    What was refused for sure, or never sent, is asked again as usual.
    """
    from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

    if caught_exception is not None and not isinstance(
        caught_exception, (ConnectTimeoutError, EndpointConnectionError)
    ):
        raise caught_exception
    if response is not None and response[0].status_code >= 500:
        raise ClientError(response[1], "SubmitJob")
