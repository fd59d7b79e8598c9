"""What AWS's error codes mean, in the words of those who quote them."""

from __future__ import annotations

import pytest

from lifecycle.adapters.aws.codes import Kind, failed_call, kind_in, kind_of
from lifecycle.errors import ExitCode

# Packer 1.6 writes as the first version of AWS's library for Go does, newer ones and Pulumi as the second, the rest as boto3.
MESSAGES = [
    (
        "Error launching source instance: InsufficientInstanceCapacity: We currently do not have sufficient m6i.large capacity in"
        " the Availability Zone you requested (us-west-2a).\n\tstatus code: 500, request id: 1f2e",
        Kind.NO_CAPACITY,
    ),
    (
        "Error launching source instance: Unsupported: Your requested instance type (m6i.large) is not supported in your requested"
        " Availability Zone (us-east-1e).\n\tstatus code: 400, request id: 1f2e",
        Kind.NO_CAPACITY,
    ),
    (
        "operation error EC2: RunInstances, https response error StatusCode: 500, RequestID: 1f2e, api error"
        " InsufficientInstanceCapacity: We currently do not have sufficient g5.xlarge capacity",
        Kind.NO_CAPACITY,
    ),
    (
        "SignatureDoesNotMatch: Signature expired: 20261121T150702Z is now earlier than 20261121T160702Z\n\tstatus code: 403",
        Kind.CLOCK,
    ),
    ("SignatureDoesNotMatch: The request signature we calculated does not match", Kind.DENIED),
    ("RequestTimeTooSkewed: The difference between the request time and the current time is too large.", Kind.CLOCK),
    ("ExpiredToken: The security token included in the request is expired\n\tstatus code: 403", Kind.EXPIRED),
    ("Error querying AMI: RequestExpired: Request has expired.\n\tstatus code: 400, request id: 1f2e", Kind.EXPIRED),
    (
        "validating provider credentials: retrieving caller identity from STS: operation error STS: GetCallerIdentity, https"
        " response error StatusCode: 403, RequestID: 1f2e, api error ExpiredToken: The security token included in the request is"
        " expired",
        Kind.EXPIRED,
    ),
    ("An error occurred (ExpiredTokenException) when calling the GetItem operation: expired", Kind.EXPIRED),
    ("Error when retrieving token from sso: the SSO session has expired or is invalid", Kind.EXPIRED),
    ("NoCredentialProviders: no valid providers in chain. Deprecated.", Kind.NO_CREDENTIALS),
    ("error: unable to validate AWS credentials.\nDetails: No valid credential sources found.", Kind.NO_CREDENTIALS),
    (
        "get credentials: failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata,"
        " request send failed",
        Kind.NO_CREDENTIALS,
    ),
    ("Unable to locate credentials", Kind.NO_CREDENTIALS),
    ("UnauthorizedOperation: You are not authorized to perform this operation.\n\tstatus code: 403", Kind.DENIED),
    ("AuthFailure: AWS was not able to validate the provided access credentials\n\tstatus code: 401", Kind.DENIED),
    (
        "creating IAM Role (vision-job): operation error IAM: CreateRole, https response error StatusCode: 403, RequestID: 1f2e,"
        " api error AccessDenied: User: arn:aws:iam::123456789012:user/ann is not authorized to perform: iam:CreateRole",
        Kind.DENIED,
    ),
    ("An error occurred (AccessDenied) when calling the CreateRole operation: no", Kind.DENIED),
    (
        "VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU limit of 32 allows\n\tstatus code: 400",
        Kind.LIMIT,
    ),
    ("api error LimitExceededException: Limit exceeded for compute environments", Kind.LIMIT),
    ("creating S3 Bucket (vision): operation error S3: CreateBucket, api error BucketAlreadyExists: taken", Kind.TAKEN),
    (
        "creating EC2 Launch Template (vision-1): operation error EC2: CreateLaunchTemplate, https response error StatusCode: 400,"
        " RequestID: 1f2e, api error InvalidLaunchTemplateName.AlreadyExistsException: Launch template name already in use.",
        Kind.TAKEN,
    ),
    (
        "creating Batch Compute Environment (vision-1): operation error Batch: CreateComputeEnvironment, https response error"
        " StatusCode: 400, RequestID: 1f2e, ClientException: Object already exists",
        Kind.TAKEN,
    ),
    (
        "An error occurred (ClientException) when calling the CreateJobQueue operation: Object already exists",
        Kind.TAKEN,
    ),
    ("InvalidAMIName.Duplicate: AMI name vision is already in use by AMI ami-1\n\tstatus code: 400", Kind.TAKEN),
    ("api error EntityAlreadyExists: Role with name vision-job already exists.", Kind.TAKEN),
    (
        "operation error STS: AssumeRoleWithWebIdentity, https response error StatusCode: 400, RequestID: 1f2e,"
        " InvalidIdentityToken: The web identity token that was passed is expired or is not valid",
        Kind.EXPIRED,
    ),
    ("RequestLimitExceeded: Request limit exceeded.\n\tstatus code: 503, request id: 1f2e", Kind.THROTTLED),
    (
        "An error occurred (ThrottlingException) when calling the DescribeJobs operation (reached max retries: 4): Rate exceeded",
        Kind.THROTTLED,
    ),
    ("exceeded maximum number of attempts, 3, api error TooManyRequestsException: Too Many Requests", Kind.THROTTLED),
    (
        'RequestError: send request failed\ncaused by: Post "https://ec2.us-west-2.amazonaws.com/": dial tcp: lookup'
        " ec2.us-west-2.amazonaws.com: no such host",
        Kind.UNREACHABLE,
    ),
    (
        "operation error STS: GetCallerIdentity, https response error StatusCode: 0, RequestID: , request send failed, Post"
        ' "https://sts.us-west-2.amazonaws.com/": dial tcp 192.0.2.1:443: i/o timeout',
        Kind.UNREACHABLE,
    ),
    ('Could not connect to the endpoint URL: "https://batch.us-west-2.amazonaws.com/"', Kind.UNREACHABLE),
    ("a model's tool: models/weights already exists", None),
    ("AccessDenied is what `models/readme.txt` is about", None),
    ("Script exited with non-zero exit status: 12. Allowed exit codes are: [0]", None),
    ("InvalidKeyPair.NotFound: The key pair 'packer_1' does not exist\n\tstatus code: 400", None),
    ("dial tcp 127.3.0.1:22: connect: connection refused", None),
]


@pytest.mark.parametrize(("message", "kind"), MESSAGES)
def test_message_is_read_by_the_code_that_it_quotes(message: str, kind: Kind | None) -> None:
    assert kind_in(f"==> amazon-ebs.models: {message}\n==> cleaning up") is kind


def test_cause_is_told_and_not_what_came_of_it() -> None:
    text = "InsufficientInstanceCapacity: no\nDeleting temporary keypair: UnauthorizedOperation: no\nRequestLimitExceeded: no"
    assert kind_in(text) is Kind.NO_CAPACITY


@pytest.mark.parametrize(
    "code",
    ["404", "NoSuchKey", "NoSuchBucket", "ParameterNotFound", "InvalidAMIID.NotFound", "InvalidAMIID.Malformed",
     "InvalidSnapshot.NotFound", "InvalidLaunchTemplateName.NotFoundException", "ResourceNotFoundException"],
)  # fmt: skip
def test_each_service_has_its_own_word_for_missing(code: str) -> None:
    assert kind_of(code) is Kind.MISSING


@pytest.mark.parametrize(
    ("kind", "code", "exit_code"),
    [
        (Kind.NO_CAPACITY, "no-capacity", ExitCode.INCONCLUSIVE),
        (Kind.CLOCK, "clock-wrong", ExitCode.DENIED),
        (Kind.EXPIRED, "credentials-expired", ExitCode.DENIED),
        (Kind.NO_CREDENTIALS, "credentials-missing", ExitCode.DENIED),
        (Kind.DENIED, "permission-denied", ExitCode.DENIED),
        (Kind.LIMIT, "quota-reached", ExitCode.FAILED),
        (Kind.TAKEN, "name-taken", ExitCode.FAILED),
        (Kind.THROTTLED, "aws-throttled", ExitCode.INCONCLUSIVE),
        (Kind.UNREACHABLE, "aws-unreachable", ExitCode.FAILED),
        (Kind.UNCLEAR, "aws-unclear", ExitCode.FAILED),
        (Kind.MISSING, "aws-failed", ExitCode.FAILED),
        (None, "aws-failed", ExitCode.FAILED),
    ],
)
def test_each_kind_is_told_in_its_own_way(kind: Kind | None, code: str, exit_code: ExitCode) -> None:
    error = failed_call(kind, "reading it", why="no", details=("line",))
    assert (error.code, error.exit_code, error.details) == (code, exit_code, ("line",))
    assert error.message.endswith("reading it: no")
    assert error.hint
