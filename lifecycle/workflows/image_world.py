"""What decides about images: what the repository holds, who uses it, and what the working tree stands on."""

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from lifecycle.config.target import Target
from lifecycle.domain.image_needs import Repository
from lifecycle.domain.image_retention import ImageRetention
from lifecycle.domain.permissions import READ_IMAGES, READ_POINTER, READ_STATE
from lifecycle.domain.usage import Unread, Use, UseReport
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.ports import Ports
from lifecycle.workflows.uses import Recent, release_uses

READ_REPOSITORY = ("ecr:BatchGetImage", "ecr:DescribeImages")
READ_IMAGE_USES = (
    *READ_POINTER,
    *READ_STATE,
    "batch:DescribeJobDefinitions",
    "batch:DescribeJobQueues",
    "batch:DescribeJobs",
    "batch:ListJobs",
    "ec2:DescribeImages",
    "ec2:DescribeLaunchTemplateVersions",
    "ecs:DescribeServices",
    "ecs:DescribeTaskDefinition",
    "ecs:DescribeTasks",
    "ecs:ListClusters",
    "ecs:ListServices",
    "ecs:ListTaskDefinitions",
    "ecs:ListTasks",
    "ssm:DescribeParameters",
    "ssm:GetParameters",
)
READ_IMAGE_WORLD = (*READ_REPOSITORY, *READ_IMAGE_USES, *READ_IMAGES)
# Beside no lock, and before the first `image base` of it, the tree gives no image.
_NOTHING_IS_MADE = {"requirements-missing", "base-missing", "repository-missing"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What the account's things name, and the working tree; `no_tree` says why the tree names nothing."""

    report: UseReport = field(default_factory=UseReport)
    no_tree: str = ""


class ImageScan:
    """What reading the whole account tells, for the steps of one run.

    The guarantee: right before each deletion the repository and the releases are read anew, and what Batch, ECS, AMIs, launch templates
    and parameters name was read less than a minute before, and never before the plan was confirmed. A scan that could not be read to its
    end is not tried again: the rest of the run deletes nothing.
    """

    def __init__(self, ports: Ports, target: Target) -> None:
        self.ports, self.target = ports, target
        self._account = Recent(
            ports.clock, partial(read_account, ports, target), is_unread=lambda account: bool(account.report.unread)
        )

    def repository(self) -> Repository:
        """The images as they are now, and what needs them."""
        return read_repository(self.ports, self._account.get().report)


def image_retention(target: Target, *, most: int) -> ImageRetention:
    """The configured rules."""
    retention = target.settings.image.retention
    return ImageRetention(
        keep_code=retention.keep_code,
        keep_bases=retention.keep_bases,
        min_age=timedelta(days=retention.min_age_days),
        untagged_age=timedelta(days=retention.untagged_days),
        most=most,
    )


def account_image_uses(ports: Ports, target: Target) -> UseReport:
    """What Batch, ECS, AMIs, launch templates and parameters of the account name, whoever made them."""
    return ports.image_users.scan(template_versions=target.settings.ami.retention.template_versions)


def read_account(ports: Ports, target: Target) -> Account:
    """What costs many calls. What cannot be read is told in the report; never raises for that."""
    report = account_image_uses(ports, target)
    try:
        base = ports.base_builder.required()
        tree = (
            Use(of=base.ref.digest, kind="this working tree", name="", detail="its base"),
            Use(of=ports.code.tag(), kind="this working tree", name="", detail="its code"),
        )
    except Interrupted:
        raise
    except CapctlError as error:
        if error.code in _NOTHING_IS_MADE:
            return Account(report=report, no_tree=error.message)
        source = "the registry" if error.code.startswith("registry-") else "the working tree"
        return Account(report=report + UseReport(unread=(Unread(source=source, why=error.message),)))
    return Account(report=report + UseReport(uses=tree))


def read_repository(ports: Ports, report: UseReport) -> Repository:
    """The images, and who uses them at this moment: `report`, and the releases.

    Raises as `RepositoryImages.list`; everything else that cannot be read is told.
    """
    report += release_uses(ports, what="image", of=lambda release: release.image.digest)
    # After the releases: one that is made meanwhile has tagged its image long before.
    images = ports.repository_images.list()
    try:
        contents = ports.repository_images.contents(images)
    except Interrupted:
        raise
    except CapctlError as error:
        unread = UseReport(unread=(Unread(source="manifests", why=error.message),))
        return Repository(images=images, contents={}, report=report + unread)
    # Another run deleted the others meanwhile.
    return Repository(images=tuple(one for one in images if one.digest in contents), contents=contents, report=report)
