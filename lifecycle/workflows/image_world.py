"""What decides about images: what the repository holds, who uses it, and what the working tree stands on."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from lifecycle.config.target import Target
from lifecycle.domain.digest import Digest
from lifecycle.domain.image_needs import Repository, deciding_manifests
from lifecycle.domain.image_retention import ImageFate, ImageRetention, judge_images, staying
from lifecycle.domain.measures import counted
from lifecycle.domain.permissions import READ_IMAGES, READ_POINTER, READ_STATE
from lifecycle.domain.repository_image import ManifestContent, RepositoryImage
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

# The images whose manifests decide something and are not known yet.
Deciding = Callable[[Repository], Collection[RepositoryImage]]


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
        return read_repository(self.ports, self._account.get().report, deciding_removal(self.ports, self.target))


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


def deciding_removal(ports: Ports, target: Target) -> Deciding:
    """What decides whether an image goes: nothing while none could go anyway."""

    def deciding(repository: Repository) -> Collection[RepositoryImage]:
        verdicts = judge_images(repository, image_retention(target, most=len(repository.images)), ports.clock.now())
        is_any = any(one.fate is ImageFate.DELETE for one in verdicts)
        return deciding_manifests(repository, staying(verdicts)) if is_any else ()

    return deciding


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


def read_repository(ports: Ports, report: UseReport, deciding: Deciding) -> Repository:
    """The images, and who uses them at this moment: `report`, and the releases.

    Of the manifests that this machine does not know only those are read which decide something. ECR counts that as a pull, so the images
    are listed once more after it: no pull is ever left out, whoever made it. Raises as `RepositoryImages.list`; everything else that
    cannot be read is told.
    """
    report += release_uses(ports, what="image", of=lambda release: release.image.digest)
    # After the releases: one that is made meanwhile has tagged its image long before.
    # What was read is kept here, too: a cache without room keeps nothing.
    held, gone, read = ports.repository_images, set[Digest](), dict[Digest, ManifestContent]()
    while True:
        images = tuple(one for one in held.list() if one.digest not in gone)
        try:
            repository = Repository(images=images, contents={**held.known(images), **read}, report=report)
            asked = deciding(repository)
            if asked:
                many = counted(len(asked), "manifest")
                ports.ui.note(f"This machine reads {many} for the first time, which ECR counts as pulls")
            found = held.contents(asked) if asked else {}
        except Interrupted:
            raise
        except CapctlError as error:
            unread = UseReport(unread=(Unread(source="manifests", why=error.message),))
            return Repository(images=images, contents={}, report=report + unread)
        if not asked:
            return repository
        read |= found
        # Another run deleted the others meanwhile.
        gone |= {one.digest for one in asked if one.digest not in found}
