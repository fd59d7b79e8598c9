"""What AWS's error codes mean, whoever quotes them: boto3, Packer, Pulumi."""

import re
from collections.abc import Mapping
from enum import StrEnum, auto

from lifecycle.errors import CapctlError, Denied, Inconclusive


class Kind(StrEnum):
    """What an error code says of a call."""

    NO_CAPACITY = auto()
    CLOCK = auto()
    EXPIRED = auto()
    NO_CREDENTIALS = auto()
    SERVICE_ROLE = auto()
    DENIED = auto()
    LIMIT = auto()
    TAKEN = auto()
    THROTTLED = auto()
    UNREACHABLE = auto()
    UNCLEAR = auto()
    MISSING = auto()


_CODES: Mapping[str, Kind] = {
    code: kind
    for kind, codes in {
        Kind.NO_CAPACITY: "InsufficientInstanceCapacity InsufficientHostCapacity InsufficientCapacity SpotMaxPriceTooLow",
        Kind.CLOCK: "RequestTimeTooSkewed RequestInTheFuture",
        Kind.EXPIRED: "ExpiredToken ExpiredTokenException InvalidIdentityToken InvalidIdentityTokenException RequestExpired"
        " TokenRefreshRequired",
        Kind.NO_CREDENTIALS: "NoCredentialProviders",
        Kind.SERVICE_ROLE: "AuthFailure.ServiceLinkedRoleCreationNotPermitted",
        Kind.DENIED: "AccessDenied AccessDeniedException AuthFailure UnauthorizedOperation UnauthorizedException"
        " InvalidClientTokenId SignatureDoesNotMatch UnrecognizedClientException InvalidAccessKeyId 403",
        Kind.LIMIT: "LimitExceeded LimitExceededException MaxSpotInstanceCountExceeded ServiceQuotaExceededException"
        " TooManyBuckets",
        Kind.TAKEN: "BucketAlreadyOwnedByYou",
        Kind.THROTTLED: "Throttling ThrottlingException ThrottledException RequestThrottled RequestThrottledException"
        " EC2ThrottledException RequestLimitExceeded BandwidthLimitExceeded TooManyRequestsException SlowDown"
        " ProvisionedThroughputExceededException",
        Kind.UNCLEAR: "InternalError InternalFailure InternalServerError InternalServerErrorException ServerException"
        " ServiceUnavailable ServiceUnavailableException Unavailable",
        Kind.MISSING: "404 NotFound NoSuchKey NoSuchBucket NoSuchEntity ParameterNotFound ResourceNotFoundException"
        " InvalidAMIID.Unavailable InvalidAMIID.Malformed AWS.SimpleQueueService.NonExistentQueue QueueDoesNotExist",
    }.items()
    for code in codes.split()
}
# A code as it stands in a text: `api error X: …`, `(X) when calling …`, `X: …`.
_QUOTED = re.compile(r"\b([A-Z][A-Za-z0-9]+(?:\.[A-Za-z]+)?)(?=:(?:\s|$)|\) when calling )")
# What is said without a code.
_SAID: Mapping[Kind, re.Pattern[str]] = {
    Kind.NO_CAPACITY: re.compile(r"Unsupported: .*Availability Zone"),
    # The code beside it, `SignatureDoesNotMatch`, is that of a wrong secret key too.
    Kind.CLOCK: re.compile(r"Signature expired: |Signature not yet current: "),
    Kind.EXPIRED: re.compile(r"SSO session .*(?:expired|invalid)"),
    Kind.NO_CREDENTIALS: re.compile(
        r"[Nn]o valid credential sources|no EC2 IMDS role found|Unable to locate credentials"
    ),
    # Batch makes its role for whoever may create one; of one that was deleted it says that it cannot be assumed.
    Kind.SERVICE_ROLE: re.compile(
        r"\biam:CreateServiceLinkedRole\b|\bAWSServiceRoleFor(?:Batch|EC2Spot)\b[^;]*(?:assume|not exist|not be found)"
    ),
    Kind.DENIED: re.compile(r"is not authorized to perform"),
    # Batch has one code for whatever the caller did wrong.
    Kind.LIMIT: re.compile(
        r"\bClientException\b.*(?:\b[Mm]aximum number of\b|\b[Ll]imit (?:is |was )?exceeded|\b[Ee]xceed\w* .*\b(?:limit|quota)\b"
        r"|\breached .*\b(?:limit|maximum|quota)\b)"
    ),
    Kind.TAKEN: re.compile(r"\b(?:ClientException|ResourceInUseException)\b.*\b[Aa]lready exists"),
    Kind.UNREACHABLE: re.compile(
        r"request send failed|send request failed|Could not connect to the endpoint URL|(?:Connect|Read) timeout on endpoint URL"
        r"|Connection was closed before we received a valid response"
    ),
}
# How each is told; DOING stands for what capctl was doing. Of several in one text the first of this order is the cause.
_TOLD: Mapping[Kind, CapctlError] = {
    Kind.NO_CAPACITY: Inconclusive(
        "no-capacity",
        "AWS has no capacity for DOING",
        hint="Set another instance type or subnet in capctl.yaml, or try later",
    ),
    Kind.CLOCK: Denied(
        "clock-wrong",
        "By the clock of this machine AWS refused DOING",
        hint="Set the clock, for example with `timedatectl set-ntp true`, then run the command again",
    ),
    Kind.EXPIRED: Denied(
        "credentials-expired",
        "The AWS credentials expired while DOING",
        hint="Log in again, for example `aws sso login`; if that changes nothing, set the clock of this machine",
    ),
    Kind.NO_CREDENTIALS: Denied(
        "credentials-missing",
        "No AWS credentials were found while DOING",
        hint="Set AWS_PROFILE, or log in with `aws sso login`",
    ),
    Kind.SERVICE_ROLE: Denied(
        "service-role-missing",
        "AWS needs a service-linked role that the account does not have for DOING",
        hint="Let an administrator run `aws iam create-service-linked-role --aws-service-name batch.amazonaws.com` once, for Spot also"
        " with `spot.amazonaws.com`",
    ),
    Kind.DENIED: Denied(
        "permission-denied",
        "AWS refused DOING",
        hint="Compare the role with docs/iam.md; if AWS speaks of a signature, check the secret key",
    ),
    Kind.LIMIT: CapctlError(
        "quota-reached",
        "A quota of the account stands against DOING",
        hint="Free what nobody uses, or ask for more in AWS's Service Quotas console",
    ),
    Kind.TAKEN: CapctlError(
        "name-taken",
        "A name is in use already that was needed for DOING",
        hint="Find out what has the name and who made it: another `stack.state`, or an earlier run that got no answer; remove it only if"
        " nobody needs it",
    ),
    Kind.THROTTLED: Inconclusive(
        "aws-throttled",
        "AWS refused one call too many while DOING",
        hint="Run the command again in a minute; others in the account may be calling too often",
    ),
    Kind.UNREACHABLE: CapctlError(
        "aws-unreachable",
        "AWS did not answer while DOING",
        hint="Check the network, the region and `endpoint_url` of the target",
    ),
    Kind.UNCLEAR: CapctlError(
        "aws-unclear",
        "AWS did not say what came of DOING",
        hint="Run the command again in a minute; if the target has an `endpoint_url`, check that AWS's API answers there",
    ),
}
_OTHER = CapctlError(
    "aws-failed", "AWS call failed while DOING", hint="Run the command with `-v` to see the calls before it"
)


def kind_of(code: str) -> Kind | None:
    """What AWS's `code`, such as `NoSuchKey`, says; None for one that says nothing general."""
    if kind := _CODES.get(code):
        return kind
    if code.endswith((".NotFound", ".NotFoundException")):  # EC2 has one for each of its resources
        return Kind.MISSING
    if code.endswith((".Duplicate", "AlreadyExists", "AlreadyExistsException")):
        return Kind.TAKEN
    return Kind.LIMIT if code.endswith("LimitExceeded") else None


def kind_in(text: str) -> Kind | None:
    """Why the calls to AWS of the program that wrote `text` failed; None when it quotes no code that tells.

    `MISSING` tells nothing without the thing that is.
    """
    kinds = {kind_of(code) for code in _QUOTED.findall(text)} | {
        kind for kind, said in _SAID.items() if said.search(text)
    }
    return next((kind for kind in _TOLD if kind in kinds), None)


def kind_of_answer(code: str, message: str) -> Kind | None:
    """What AWS's `code` and its words for it say."""
    return Kind.CLOCK if _SAID[Kind.CLOCK].search(message) else kind_of(code)


def failed_call(kind: Kind | None, doing: str, *, why: str = "", details: tuple[str, ...] = ()) -> CapctlError:
    """The error of a call of which AWS said `kind` (and `why`), while capctl was `doing`, such as `reading AMI ami-0abc`."""
    told = _TOLD.get(kind, _OTHER) if kind else _OTHER
    message = told.message.replace("DOING", doing) + (f": {why}" if why else "")
    return type(told)(told.code, message, hint=told.hint, details=details)
