"""The failures capctl reports: one exit-code table, one class per exit code, one table of error codes."""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any


class ExitCode(IntEnum):
    """How a command ended; scripts may rely on these numbers."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    INCONCLUSIVE = 3
    DENIED = 4
    TIMED_OUT = 5
    PARTLY_APPLIED = 6
    ROLLED_BACK = 7
    BUG = 70
    INTERRUPTED = 130


EXIT_CODES: dict[ExitCode, str] = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "failed",
    ExitCode.USAGE: "usage or configuration",
    ExitCode.INCONCLUSIVE: "inconclusive: no capacity, or throttled; nothing was proven either way",
    ExitCode.DENIED: "credentials or permission",
    ExitCode.TIMED_OUT: "timed out",
    ExitCode.PARTLY_APPLIED: "partly applied: run again, or clean up as the hint says",
    ExitCode.ROLLED_BACK: "rolled back: the former state is back in place",
    ExitCode.BUG: "bug in capctl",
    ExitCode.INTERRUPTED: "interrupted",
}


class CapctlError(Exception):
    """A failure with a stable kebab-case `code`, one sentence that says what and which, and a hint that says what next.

    `verdict` says that the thing itself was tried and is bad, such as a release whose smoke job failed: only then does a plan
    restore the former state. Any other failure is trouble on the way (network, credentials, throttling, a wait of ours that was
    too short): it proves nothing, leaves what was made, and the same command goes on from there.

    `may_pass` says that what was read may be from before the change: AWS answers from several endpoints, which learn of it at different
    moments, and another look a little later decides.

    `details` are further lines, such as the end of another program's log; `evidence` is the same for programs, by what it tells
    of, such as `smoke`. `is_answered` says that the command's document is on stdout already and tells of the failure, so that no
    second one may follow.
    """

    exit_code = ExitCode.FAILED
    is_answered = False

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str = "",
        details: tuple[str, ...] = (),
        evidence: Mapping[str, Any] = MappingProxyType({}),
        verdict: bool = False,
        may_pass: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.details = details
        self.evidence = evidence
        self.is_verdict = verdict
        self.may_pass = may_pass


class UsageError(CapctlError):
    """The command line or the configuration is wrong; nothing was done."""

    exit_code = ExitCode.USAGE


class Inconclusive(CapctlError):
    """Neither success nor failure could be proven, for example because there was no capacity."""

    exit_code = ExitCode.INCONCLUSIVE


class Denied(CapctlError):
    """Credentials are missing, expired, or do not allow the call."""

    exit_code = ExitCode.DENIED


class TimedOut(CapctlError):
    """A wait ended before its condition came true."""

    exit_code = ExitCode.TIMED_OUT


class PartlyApplied(CapctlError):
    """Some steps were applied and could not be undone."""

    exit_code = ExitCode.PARTLY_APPLIED


class RolledBack(CapctlError):
    """What was tried proved bad and the former state was restored."""

    exit_code = ExitCode.ROLLED_BACK


class Interrupted(CapctlError):
    """SIGINT or SIGTERM ended the command; what it had started was stopped."""

    exit_code = ExitCode.INTERRUPTED


ERROR_CODES: dict[str, str] = {
    "account-mismatch": "the credentials belong to another account than the target's",
    "ami-failed": "AWS ended an AMI in a state it cannot leave",
    "ami-foreign": "an AMI was named that does not belong to the target's project",
    "ami-id-invalid": "the text is not an AMI id, or neither an AMI id nor the name of a channel",
    "ami-in-use": "an AMI that was to be withdrawn is in use",
    "ami-missing": "there is no such AMI, or none that fits",
    "ami-name-taken": "another AMI has the name that a bake or a copy needs",
    "ami-not-disabled": "an AMI can still be started after it was disabled",
    "ami-not-enabled": "an AMI cannot be started after it was enabled",
    "ami-not-removed": "an AMI still exists after it was deregistered",
    "ami-not-replaced": "an AMI has the name of a bake or a copy and was withdrawn, or may be in use",
    "ami-not-shareable": "an AMI is encrypted with the account's default EBS key, which nobody else can use",
    "ami-not-smoked": "a channel needs an AMI on which a smoke job has passed",
    "ami-not-startable": "no host can be started from the AMI of a release that is to take jobs",
    "ami-not-verified": "an AMI is needed whose payload was proven",
    "ami-pending": "an AMI did not become available in time",
    "ami-status-refused": "the life of an AMI does not lead from its status to the one that was asked for",
    "ami-status-unknown": "an AMI has a status that this version of capctl does not know",
    "ami-superseded": "the locked models call for an AMI that another took the place of",
    "aws-failed": "AWS answered a call with an error that has no code of its own here",
    "aws-throttled": "AWS refused calls because there were too many",
    "aws-unclear": "AWS answered with an internal error, or not as AWS does, so that a change may be made or not",
    "aws-unreachable": "AWS did not answer",
    "bake-failed": "Packer, or a provisioner on the instance, failed",
    "bake-timed-out": "the bake took longer than `ami.timeout_s`",
    "base-ami-architecture": "the base AMI has another architecture than `ami.architecture`",
    "base-ami-unknown": "`ami.base` names no AMI: the AMI or the parameter does not exist, or it is neither",
    "base-incomplete": "the base stack still differs from what it should be after its update",
    "base-invalid": "the inputs of the base image contradict each other",
    "base-missing": "the base stack or the base image has not been made yet",
    "base-would-lose": "updating the base stack would delete or replace a resource",
    "blob-missing": "a manifest names a blob that the repository does not hold",
    "boot-failed": "an instance of an AMI could not check its own disk",
    "boot-timed-out": "an instance of an AMI did not report within `ami.timeout_s`",
    "bucket-missing": "the bucket does not exist",
    "buildkit-missing": "BuildKit is to build the base image and is not there",
    "bug": "capctl failed in a way that nobody foresaw; the crash log says where",
    "channel-full": "SSM can keep no other version of a channel",
    "channel-invalid": "the text cannot be the name of a channel",
    "channel-missing": "there is no channel of this name",
    "channel-moved": "somebody else moved the channel, or deleted it, at the same time",
    "channel-pending": "SSM took a channel's new AMI and did not publish it in time",
    "checkout-missing": "the rehearsal needs a checkout of capctl to ship",
    "clock-wrong": "the clock of this machine is too far from AWS's for its signatures to count",
    "code-unreadable": "the folder of the code cannot be listed",
    "command-unknown": "there is no such command",
    "config-exists": "`init` does not overwrite a configuration file, and a rehearsal's never",
    "config-invalid": "the configuration has mistakes; each is named with line and column, or its variable",
    "config-missing": "there is no configuration file",
    "config-unreadable": "the configuration file cannot be read",
    "config-unwritable": "the configuration file cannot be written",
    "confirmation-needed": "the command asks before it acts and there is no terminal to ask on",
    "copies-incomplete": "an AMI was copied to some of the regions only",
    "credentials-expired": "the AWS credentials expired",
    "credentials-missing": "no AWS credentials were found",
    "database-twice": "both the environment of the jobs and a secret set DATABASE_URL",
    "database-unreachable": "PostgreSQL did not answer",
    "declined": "the question whether to go on was answered with no",
    "deploy-locked": "another run changes what is deployed",
    "deployment-foreign": "another version of capctl recorded the deployment that is to be resumed",
    "deprecation-not-set": "an AMI does not have the deprecation that was set",
    "digest-invalid": "the text is not a sha256 digest",
    "digest-mismatch": "bytes do not have the digest that names them",
    "disk-full": "the disk has no room for what shall be written",
    "drift-unproven": "not everything could be looked at, so nobody knows whether it is as it was deployed",
    "drifted": "something is not as it was deployed",
    "engine-failed": "the container engine refused or failed a request",
    "engine-missing": "no container engine answers",
    "evidence-invalid": "what the instance of a bake reported cannot be read",
    "evidence-missing": "an AMI has no readable report of what it holds",
    "extra-missing": "a Python package that only the rehearsal needs is not installed",
    "file-unusable": "a file or folder of this machine cannot be read or written",
    "grant-invalid": "the text names nobody whom an AMI is shared with",
    "grant-missing": "it was not said whom an AMI is to be shared with",
    "grants-not-set": "an AMI is not shared as it was set",
    "image-ambiguous": "several images have a digest with this beginning",
    "image-failed": "an image could not be built, pushed or checked",
    "image-missing": "the registry has no such image",
    "image-name-invalid": "the text names no image of the target's repository",
    "image-name-taken": "the engine has another image of the name that is needed",
    "image-not-loaded": "the engine does not have an image after it was loaded",
    "image-not-pinned": "an image is named without its digest",
    "image-not-removed": "an image still exists after it was deleted",
    "image-rejected": "an image, or the code that was to become one, breaks the rules for images",
    "imds-not-set": "an AMI does not require IMDSv2 after it was set",
    "instance-unreachable": "Packer did not reach the instance of the bake",
    "interrupted": "a signal ended the command",
    "job-failed": "a job that was followed ended as failed",
    "job-id-invalid": "the text cannot be the id of a job",
    "job-invalid": "the container would refuse the job's parameters",
    "job-foreign": "the job is of no release of the target",
    "jobs-not-moved": "jobs were cancelled to be moved to another release, and are not submitted there yet",
    "job-missing": "there is no such job",
    "job-not-cancelled": "a job goes on after it was cancelled",
    "journal-unwritable": "the journal of mutations cannot be written, so nothing may be changed",
    "layer-rejected": "a file cannot go into the code layer",
    "layer-too-large": "the code layer is above 100 MB, too large for one upload",
    "layout-busy": "another run writes into an image layout",
    "layout-foreign": "the place of an image layout holds something else",
    "layout-incomplete": "an image layout does not hold an image after it was written",
    "leftover-needed": "what a killed bake left is gone on with, or used, since it was looked at",
    "leftover-stays": "something that a killed bake left is still there after it was removed",
    "leftovers-left": "steps of a sweep failed, so that something that killed bakes left is still there",
    "lifecycle-would-expire": "the repository's lifecycle policy would expire an image that somebody needs",
    "lock-invalid": "the lock of the model set cannot be read",
    "lock-missing": "the model set has not been locked",
    "lock-outdated": "the lock does not say what the source of the models holds",
    "lock-unwritable": "the lock of the model set cannot be written",
    "log-unwritable": "the log of a bake cannot be written",
    "machine-boot-failed": "an instance of the rehearsal did not boot",
    "manifest-unsupported": "an image is of a kind that cannot carry a code layer or be checked",
    "model-changed": "a model file is not what the lock says",
    "model-missing": "a model file is gone",
    "model-not-a-file": "an entry of the model set is a link to a folder or out of the source, a device or something else",
    "model-path-invalid": "a path cannot be part of a model set",
    "model-path-twice": "a model set names a path twice",
    "model-unreadable": "a model file cannot be read",
    "models-differ": "model files differ from the lock",
    "models-empty": "a model set has no models",
    "models-missing": "the source of the models does not exist",
    "name-taken": "AWS has something else of a name that is needed",
    "network-missing": "neither the configuration nor the base stack has subnets and security groups for Batch",
    "no-capacity": "AWS has no capacity, so nothing was proven either way",
    "nothing-to-resume": "the last deployment came to its end, or there was none",
    "object-missing": "there is no such object in S3, or nothing proves that it is the right one",
    "option-invalid": "an option's value does not fit the configuration",
    "packer-missing": "Packer is not installed",
    "packer-plugin-missing": "Packer has no Amazon plugin",
    "passphrase-missing": "Pulumi's state is encrypted and no passphrase is set",
    "passphrase-wrong": "the passphrase does not open the stack's state",
    "payload-mismatch": "the files on the instance or the AMI are not the model set",
    "payload-over-budget": "the model set is larger than `models.budget_bytes`, or its runtime than `models.runtime_budget_bytes`",
    "permission-denied": "AWS refused a call for want of permission",
    "pointer-missing": "no release has been promoted yet",
    "pointer-moved": "somebody else moved the pointer first",
    "previous-missing": "there is no earlier release, or no earlier AMI of a channel, to roll back to",
    "preview-failed": "ECR did not say what a lifecycle policy would expire",
    "preview-pending": "ECR did not say in time what a lifecycle policy would expire",
    "profile-missing": "the AWS profile of the target, or of AWS_PROFILE, does not exist",
    "pulumi-missing": "the Pulumi CLI is not installed",
    "queue-disabled": "the queue of a release takes no jobs",
    "quota-reached": "a quota of the AWS account is used up",
    "region-invalid": "the text is not an AWS region, or not one to copy to",
    "registry-denied": "the registry refused the credentials",
    "registry-full": "the registry has no space left, or a quota of it is used up",
    "registry-missing": "what answers at the address is no container registry",
    "registry-refused": "the registry gave an answer that its API does not foresee",
    "registry-throttled": "the registry refused every attempt as one too many",
    "registry-unreachable": "the registry did not answer",
    "rehearsal-check": "the rehearsal found a result that is not as it should be",
    "rehearsal-leftovers": "something of a rehearsal could not be removed",
    "rehearsal-missing": "there is no rehearsal of this id to end",
    "rehearsal-part-failed": "a part of the rehearsal did not start",
    "rehearsal-step": "a command of the rehearsal ended otherwise than it should",
    "release-active": "the pointer names the release that was to be removed",
    "release-closed": "the release that was to be deployed is active already, and takes no jobs",
    "release-damaged": "a release that the pointer needs lacks a part, so nothing may be deployed beside it",
    "release-id-invalid": "the text cannot be the id of a release",
    "release-invalid": "Batch found the resources of a release invalid",
    "release-missing": "there is no such release",
    "release-not-removed": "a release still exists after it was removed",
    "release-pending": "the resources of a release did not become valid in time",
    "release-retired": "a release that is to take jobs is being removed, or was",
    "release-unproven": "a release that is to take jobs never took any, so that nothing proved it",
    "release-rolled-back": "the release that is to be made is one that somebody rolled back from",
    "release-would-change": "creating a release would touch another one",
    "repository-foreign": "an image was named that is not of the target's repository",
    "repository-missing": "the repository does not exist in the registry",
    "requirements-missing": "the locked requirements of the base image do not exist",
    "result-invalid": "the result of a job cannot be read",
    "result-missing": "a job left no result",
    "rollback-impossible": "the watch of the first release failed, and there is no earlier one",
    "rollback-unclear": "the pointer or the channel was moved back already, and nothing was named to move it to",
    "root-filesystem-failed": "the root filesystem of the base image could not be made",
    "rootfs-unavailable": "this machine cannot make a root filesystem",
    "runtime-contract-refused": "the contract of the runtime cannot be read, or not be written",
    "runtime-contract-unset": "no file is named for the contract of the runtime",
    "runtime-invalid": "the runtime of the model set has no contract, or one of other files",
    "runtime-unsuited": "an image was built for another runtime than the AMI has, or for one where it has none",
    "run-unknown": "nothing is known of the run that a sweep shall be limited to",
    "run-alive": "a run of a bake has processes, so it cannot be forgotten",
    "samples-missing": "the sample models or pictures of the rehearsal are not installed",
    "session-manager-plugin-missing": "Packer is to use Session Manager and AWS's plugin for it is not installed",
    "service-role-missing": "a service-linked role of AWS Batch or EC2 Spot does not exist and could not be made",
    "smoke-failed": "the smoke job failed, or did not do what it should",
    "smoke-interrupted": "the smoke job was ended from outside, so nothing was proven either way",
    "smoke-timed-out": "the smoke job did not start, or did not end, in time",
    "smoke-unseen": "the smoke job succeeded, and its host went before it could be asked for its AMI",
    "snapshot-left": "a snapshot remains after its AMI was deregistered",
    "stack-failed": "Pulumi failed",
    "stack-locked": "another run, or a dead one, holds the lock of the stack",
    "state-unknown": "`stack.state` is no place for Pulumi's state",
    "tag-immutable": "a tag exists with another digest and cannot be moved",
    "tag-not-set": "a tag does not name the image that it was given to",
    "tags-not-set": "an AMI does not carry its tags after they were set",
    "target-unclear": "there are several targets and none was chosen",
    "target-unknown": "the configuration has no target of this name",
    "time-invalid": "the text is no date or span of time, or none that EC2 takes",
    "time-missing": "it was not said from when on an AMI is deprecated",
    "tool-missing": "a program that builds the base image is not installed",
    "turn-lost": "a deploy could not show for too long that it is alive, so that another run may have its turn",
    "undo-failed": "what was tried proved bad and the former state could not be restored",
    "uri-invalid": "the text is not an S3 address",
    "usage": "the command line is wrong",
    "use-unproven": "not everything that may use an AMI or an image could be read, so none is withdrawn or removed",
    "video-missing": "there is no such video",
    "video-out-of-reach": "a video lies where the role of the jobs may not read",
    "watch-failed": "jobs failed, or dead letters came, after a release was promoted",
    "wheelhouse-failed": "pip could not download the locked wheels",
}
