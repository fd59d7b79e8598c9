"""Where the emulator differs from moto, in one list; the README's table is rendered from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One difference between moto 5.2.5 and AWS. `emulator` says what happens here; `open` marks what still differs from AWS."""

    service: str
    subject: str
    moto: str
    emulator: str
    open: bool = False


GAPS: tuple[Gap, ...] = (
    Gap(
        service="EC2",
        subject="base images",
        moto="1300 per region, all made when the server started",
        emulator="one ECS GPU image with a fixed date, named by the public SSM parameter",
    ),
    Gap(
        service="EC2",
        subject="instance",
        moto="a record",
        emulator="with a key pair or a script, and a root filesystem: a machine in namespaces, reached over ssh at its private address",
    ),
    Gap(
        service="EC2",
        subject="a machine that does not boot",
        moto="-",
        emulator="the instance is `terminated` with `Server.InternalError`; the console is in the log",
    ),
    Gap(
        service="EC2",
        subject="volumes of an instance",
        moto="the request's, or one of 8 GB; throughput lost",
        emulator="the image's, changed by the request, with IOPS and throughput",
    ),
    Gap(
        service="EC2",
        subject="RunInstances from an image that is gone or disabled",
        moto="works",
        emulator="`InvalidAMIID.NotFound` or `InvalidAMIID.Unavailable`",
    ),
    Gap(
        service="EC2",
        subject="RunInstances with a ClientToken",
        moto="a new instance each time",
        emulator="the same one; other parameters with the same token are not refused",
        open=True,
    ),
    Gap(
        service="EC2",
        subject="CreateImage",
        moto="one snapshot of 15 GB, `standard` root, duplicate names, snapshot tags fail",
        emulator="a snapshot per volume with its size, type and encryption, tags, description; `InvalidAMIName.Duplicate`",
    ),
    Gap(
        service="EC2",
        subject="content of an image",
        moto="none",
        emulator="what the machine wrote, as a layer over its own image; kept until nothing needs it",
    ),
    Gap(
        service="EC2",
        subject="CopyImage",
        moto="no volumes, no tags, ClientToken ignored",
        emulator="volumes, snapshots, tags and content, one copy per ClientToken; available at once",
        open=True,
    ),
    Gap(
        service="EC2",
        subject="the image that another was made from",
        moto="not told",
        emulator="`SourceImageId` and `SourceImageRegion`, after CreateImage and CopyImage",
    ),
    Gap(
        service="EC2",
        subject="DeregisterImage with DeleteAssociatedSnapshots",
        moto="snapshots stay",
        emulator="one result per snapshot",
    ),
    Gap(
        service="EC2",
        subject="pages of images, snapshots, launch templates and their versions",
        moto="images and snapshots whole, the first 15 templates or versions and no token",
        emulator="MaxResults and NextToken",
    ),
    Gap(
        service="EC2",
        subject="tags of a launch template",
        moto="those that it was made with",
        emulator="as CreateTags and DeleteTags leave them",
    ),
    Gap(
        service="EC2",
        subject="pages of fleets, Spot fleets and Spot requests",
        moto="one page",
        emulator="one page",
        open=True,
    ),
    Gap(
        service="EC2",
        subject="FullSnapshotSizeInBytes",
        moto="not told",
        emulator="not told",
        open=True,
    ),
    Gap(
        service="EC2",
        subject="image deprecation, deregistration protection, ResetImageAttribute",
        moto="HTTP 500",
        emulator="done; the protection's cooldown of 24 hours is not waited for",
        open=True,
    ),
    Gap(
        service="EC2",
        subject="ModifyImageAttribute",
        moto="launch permissions only, whatever encrypts the image",
        emulator="description and IMDS support too; an image under the default EBS key cannot be shared",
    ),
    Gap(
        service="EC2",
        subject="ModifySnapshotAttribute with CreateVolumePermission",
        moto="ignored",
        emulator="done; a snapshot under the default EBS key cannot be shared",
    ),
    Gap(
        service="EC2",
        subject="DescribeImageAttribute of an image that is gone, or of another account's",
        moto="HTTP 500; told",
        emulator="InvalidAMIID.NotFound; AuthFailure",
    ),
    Gap(
        service="EC2",
        subject="DisableImage",
        moto="image stays listed, permissions stay",
        emulator="listed with IncludeDisabled only, permissions removed",
    ),
    Gap(
        service="EC2",
        subject="DescribeSnapshots by owner",
        moto="ignored",
        emulator="done",
    ),
    Gap(
        service="EC2",
        subject="user data",
        moto="stored",
        emulator="a script (`#!`) boots a machine, also without a key pair, and runs as root once; other kinds are stored. Without "
        "machines only the check of `ami verify --boot` is done, on the disk's folders, and its report says `simulated`",
        open=True,
    ),
    Gap(
        service="EC2",
        subject="shutdown by the instance itself",
        moto="-",
        emulator="the instance is stopped or terminated, as it was launched to be",
    ),
    Gap(
        service="EC2",
        subject="instance metadata service",
        moto="-",
        emulator="none; a machine cannot ask for its id or for credentials",
        open=True,
    ),
    Gap(
        service="S3",
        subject="notification to a queue that is not there, or that does not let the bucket send",
        moto="taken, and events are lost",
        emulator="refused; of the queue's policy `Allow` is read, and of its conditions those on the bucket and the account",
        open=True,
    ),
    Gap(
        service="S3",
        subject="event of a new object",
        moto="`/` of the key is encoded too; no version, no sequencer",
        emulator="`/` of the key is encoded too; no version, no sequencer",
        open=True,
    ),
    Gap(
        service="SQS",
        subject="SetQueueAttributes",
        moto="takes the policy away that it does not name, takes any attribute and any value",
        emulator="keeps it; unknown attributes and values out of range are refused",
    ),
    Gap(
        service="SQS",
        subject="RedriveAllowPolicy",
        moto="not told, and not asked",
        emulator="told; a queue that it does not allow is refused as a source",
    ),
    Gap(
        service="DynamoDB",
        subject="UpdateTable with SSESpecification",
        moto="ignored",
        emulator="done, at once",
    ),
    Gap(
        service="SSM",
        subject="ECS GPU parameter",
        moto="names images that do not exist in a small catalogue",
        emulator="names the base image",
    ),
    Gap(
        service="SSM",
        subject="parameter of type `aws:ec2:image`",
        moto="written at once, whatever its value",
        emulator="refused unless it looks like an AMI id; numbered at once, published 0.1 s later if the AMI is `available`; what number "
        "AWS gives a version while another one is looked at is not known",
        open=True,
    ),
    Gap(
        service="SSM",
        subject="LastModifiedUser",
        moto="`N/A`",
        emulator="one user's ARN, whoever asks",
        open=True,
    ),
    Gap(
        service="SSM",
        subject="GetParameters of a version",
        moto="the version without its selector",
        emulator="with it",
    ),
    Gap(
        service="ECR",
        subject="data plane",
        moto="none",
        emulator="a registry on loopback; each read looks there first, its notifications bring pushes by digest",
    ),
    Gap(
        service="ECR",
        subject="digest and size",
        moto="invented digest, size of the configuration",
        emulator="those of what was pushed",
    ),
    Gap(
        service="ECR",
        subject="push to a repository that does not exist",
        moto="-",
        emulator="the registry takes it; logged as an error and listed under `faults` of the status page",
        open=True,
    ),
    Gap(
        service="ECR",
        subject="lastRecordedPullTime",
        moto="not told",
        emulator="the last GET of the manifest from the registry, and BatchGetImage, to the second; AWS may tell an older one of that day",
        open=True,
    ),
    Gap(
        service="ECR",
        subject="BatchDeleteImage",
        moto="an image goes whatever names it",
        emulator="one that an index names stays (`ImageReferencedByManifestList`)",
    ),
    Gap(
        service="ECR",
        subject="pages of images, archived images, referrers that go with their subject",
        moto="one page, none",
        emulator="one page, none",
    ),
    Gap(
        service="ECR",
        subject="lifecycle policies",
        moto="half of ECR's rules for them, no previews",
        emulator="refused as by ECR, and previewed with its evaluation; nothing expires by itself",
        open=True,
    ),
    Gap(
        service="ECR",
        subject="token",
        moto="expired in 2015",
        emulator="lasts twelve hours",
    ),
    Gap(
        service="Batch",
        subject="compute environment",
        moto="VALID at once, service role demanded, changes ignored",
        emulator="CREATING, then VALID or INVALID with the reason (image, template, user data); changes kept",
    ),
    Gap(
        service="Batch",
        subject="deletion",
        moto="always works",
        emulator="refused while ENABLED, and while a queue refers to the environment",
    ),
    Gap(
        service="Batch",
        subject="queue still related to an environment some seconds after its deletion",
        moto="not so",
        emulator="not so",
        open=True,
    ),
    Gap(
        service="Batch",
        subject="queue",
        moto="time limits dropped, takes jobs while DISABLED",
        emulator="time limits kept but not applied, jobs refused while DISABLED, at most three environments",
        open=True,
    ),
    Gap(
        service="Batch",
        subject="job definition",
        moto="a deregistered revision still runs; another revision keeps platform and `propagateTags` of the one before",
        emulator="only ACTIVE revisions run; each has what it was registered with",
    ),
    Gap(
        service="Batch",
        subject="capacity",
        moto="every job starts",
        emulator="jobs wait as RUNNABLE for an environment that is ENABLED, VALID and has vCPUs left",
    ),
    Gap(
        service="Batch",
        subject="proof of host",
        moto="containerInstanceArn is `TBD`",
        emulator="job, container instance, EC2 instance and its image resolve; ending the instance ends its jobs as Spot does",
    ),
    Gap(
        service="Batch",
        subject="host volumes",
        moto="paths of the machine that runs moto",
        emulator="paths of the image's content; a missing one fails the job, where Docker on AWS would make an empty directory",
        open=True,
    ),
    Gap(
        service="Batch",
        subject="container",
        moto="memory, user, read-only root, limits, tmpfs ignored",
        emulator="done, with host networking and the AWS_BATCH_ variables; secrets are read; no GPU is passed",
        open=True,
    ),
    Gap(
        service="Batch",
        subject="retries",
        moto="ignored",
        emulator="attempts and evaluateOnExit, with one record per attempt",
    ),
    Gap(
        service="Batch",
        subject="end of a job",
        moto="SIGKILL, no exit code, no reason, log lost",
        emulator="SIGTERM and grace, exit code, reason, `OutOfMemoryError`, `CannotPullContainerError`, log while it runs",
    ),
    Gap(
        service="Batch",
        subject="without a container engine",
        moto="FAILED without a reason",
        emulator="the code layer as a process: the container's environment, models, user and signals, but this interpreter and no "
        "limits, as its log says; without root, the job owns its models and could undo their read-only modes",
        open=True,
    ),
    Gap(
        service="Batch",
        subject="ListJobs",
        moto="all states, filters by definition and time ignored, one page",
        emulator="RUNNING unless asked otherwise; one filter, by definition, name or time, newest first; pages",
    ),
    Gap(
        service="Batch",
        subject="GetJobQueueSnapshot",
        moto="HTTP 500",
        emulator="the RUNNABLE jobs, oldest first",
    ),
)


def table(gaps: Sequence[Gap] = GAPS) -> str:
    """The gaps as a Markdown table; a dagger marks what still differs from AWS."""
    lines = ["| service | subject | moto | here |", "|---|---|---|---|"]
    lines += [
        f"| {gap.service} | {gap.subject}{' †' if gap.open else ''} | {gap.moto} | {gap.emulator} |" for gap in gaps
    ]
    return "\n".join(lines) + "\n"


def readme() -> str:
    """The text of this folder's README.md."""
    return f"""# The AWS emulator

A moto server on loopback, with the gaps mended that a rehearsal would otherwise hide. Start it by hand:

```
python -m lifecycle.rehearsal.emulator --port 5555 --state /tmp/stage --rehearsal r1 --rootfs DIR --registry 127.0.0.1:5000
```

It prints one line of JSON when it answers, and ends with a signal or with the process that started it (`--orphan`: not).
`GET /_capctl/status` shows what runs, and the mistakes that AWS would have refused; `GET /_capctl/disks/<instance id>` names the
folder that CreateImage keeps of an instance without a machine. `calls.jsonl` in the state folder tells every AWS call, who made it
and what it was about. Read `server.py` first, then the file of a service.

Each service hooks into moto at its two tables, the backend class (`<service>_backends.backend`) and the URL table, and at the one
name by which moto makes a model that must be ours. Nothing else of moto is touched.

† still differs from AWS.

{table()}"""
