"""The composition root: the one place that chooses adapters."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifecycle.adapters.aws.deployments import DynamoDeployments
    from lifecycle.adapters.aws.session import AwsSession
    from lifecycle.adapters.container_registry import ContainerRegistry
    from lifecycle.config.target import Target
    from lifecycle.domain.run import Run
    from lifecycle.ports.ami_users import AmiUsers
    from lifecycle.ports.amis import Amis
    from lifecycle.ports.bake_runs import BakeRuns
    from lifecycle.ports.baker import Baker
    from lifecycle.ports.base_builder import BaseBuilder
    from lifecycle.ports.channels import Channels
    from lifecycle.ports.clock import Clock
    from lifecycle.ports.code import Code
    from lifecycle.ports.compute import Compute
    from lifecycle.ports.contract_file import ContractFile
    from lifecycle.ports.dead_letters import DeadLetters
    from lifecycle.ports.engine import Engine
    from lifecycle.ports.hand_runs import HandRuns
    from lifecycle.ports.image_expiry import ImageExpiry
    from lifecycle.ports.image_users import ImageUsers
    from lifecycle.ports.instances import Instances
    from lifecycle.ports.jobs import Jobs
    from lifecycle.ports.journal import Journal
    from lifecycle.ports.layouts import Layouts
    from lifecycle.ports.leftovers import Leftovers
    from lifecycle.ports.model_lock import ModelLock
    from lifecycle.ports.model_source import ModelSource
    from lifecycle.ports.objects import ObjectStore
    from lifecycle.ports.pointers import Pointers
    from lifecycle.ports.repository_images import RepositoryImages
    from lifecycle.ports.results import Results
    from lifecycle.ports.stack import Stack
    from lifecycle.ports.ui import Ui


def terminal(*, verbosity: int, assume_yes: bool) -> Ui:
    """Messages to the person who runs the command."""
    from lifecycle.adapters.terminal import TerminalUi

    return TerminalUi(verbosity=verbosity, assume_yes=assume_yes)


def begin_run(command: str, *, reason: str) -> Run:
    """A run of `command`, such as `capctl ami bake`."""
    from lifecycle.adapters.this_run import this_run

    return this_run(command, reason=reason)


def application(target: Target, ui: Ui, *, command: str) -> App:
    """All ports of `target`; calls to AWS name `command`."""
    return App(target, ui, command=command)


class App:
    """`ports.Ports` for one target. SDKs are imported by the port that needs them, when it is first asked for."""

    def __init__(self, target: Target, ui: Ui, *, command: str = "") -> None:
        self.target = target
        self.ui = ui
        self._command = command

    @cached_property
    def session(self) -> AwsSession:
        from lifecycle.adapters.aws.session import AwsSession

        return AwsSession(self.target, command=self._command)

    @cached_property
    def ami_users(self) -> AmiUsers:
        from lifecycle.adapters.aws.ami_users import AwsAmiUsers

        return AwsAmiUsers(self.session)

    @cached_property
    def amis(self) -> Amis:
        from lifecycle.adapters.aws.amis import Ec2Amis

        return Ec2Amis(self.session)

    def amis_in(self, region: str) -> Amis:
        from lifecycle.adapters.aws.amis import Ec2Amis

        return Ec2Amis(self.session, region)

    @cached_property
    def bake_runs(self) -> BakeRuns:
        from lifecycle.adapters.run_leases import RunLeases

        return RunLeases(self.target)

    @cached_property
    def baker(self) -> Baker:
        from lifecycle.adapters.packer_cli import PackerBaker

        return PackerBaker(self.target, self.session, self.clock, self.ui)

    @cached_property
    def base_builder(self) -> BaseBuilder:
        from lifecycle.adapters.base_builder import EngineBaseBuilder
        from lifecycle.adapters.base_record import RecordedBase

        builder = EngineBaseBuilder(self.target, self.registry, self.ui)
        return RecordedBase(builder, self.target, self.registry.login.url)

    @cached_property
    def channels(self) -> Channels:
        from lifecycle.adapters.aws.channels import SsmChannels

        return SsmChannels(self.session, project=self.target.project)

    def channels_in(self, region: str) -> Channels:
        from lifecycle.adapters.aws.channels import SsmChannels

        return SsmChannels(self.session, project=self.target.project, region=region)

    @cached_property
    def clock(self) -> Clock:
        from lifecycle.adapters.clock import SystemClock

        return SystemClock()

    @cached_property
    def code(self) -> Code:
        from lifecycle.adapters.working_tree import WorkingTreeCode

        return WorkingTreeCode(self.target, self.registry, self.base_builder.required)

    @cached_property
    def compute(self) -> Compute:
        from lifecycle.adapters.aws.compute import AwsCompute

        return AwsCompute(self.session, self.target.project)

    @cached_property
    def dead_letters(self) -> DeadLetters:
        from lifecycle.adapters.aws.dead_letters import SqsDeadLetters

        return SqsDeadLetters(self.session, queue_url=self.stack.base().dead_letters_url)

    @cached_property
    def deployments(self) -> DynamoDeployments:
        from lifecycle.adapters.aws.deployments import DynamoDeployments

        return DynamoDeployments(self.session, self.clock, table=self.target.table)

    @cached_property
    def engine(self) -> Engine:
        from lifecycle.adapters.local_engine import LocalEngine

        return LocalEngine(self.ui)

    @cached_property
    def hand_runs(self) -> HandRuns:
        from lifecycle.adapters.hand_runs import HandRunFolder

        return HandRunFolder(self.target)

    @cached_property
    def image_users(self) -> ImageUsers:
        from lifecycle.adapters.aws.image_users import AwsImageUsers

        return AwsImageUsers(self.session, self.target.repository_name)

    @cached_property
    def image_expiry(self) -> ImageExpiry:
        from lifecycle.adapters.aws.image_expiry import EcrImageExpiry

        return EcrImageExpiry(self.session, self.clock, repository=self.target.repository_name)

    @cached_property
    def instances(self) -> Instances:
        from lifecycle.adapters.aws.instances import Ec2Instances

        return Ec2Instances(self.session)

    @cached_property
    def jobs(self) -> Jobs:
        from lifecycle.adapters.aws.jobs import BatchJobs

        return BatchJobs(self.session)

    @cached_property
    def journal(self) -> Journal:
        from lifecycle.adapters.journal_file import FileJournal

        return FileJournal(self.target.folder / ".capctl" / f"journal-{self.target.name}.jsonl")

    @cached_property
    def layouts(self) -> Layouts:
        from lifecycle.adapters.image_layouts import LayoutFolders

        return LayoutFolders(self.ui)

    @cached_property
    def leftovers(self) -> Leftovers:
        from lifecycle.adapters.aws.leftovers import Ec2Leftovers

        return Ec2Leftovers(self.session, self.target.project)

    @cached_property
    def contract_file(self) -> ContractFile:
        from lifecycle.adapters.contract_file import ProjectContract

        return ProjectContract(self.target)

    @cached_property
    def model_lock(self) -> ModelLock:
        from lifecycle.adapters.lock_file import LockFile

        return LockFile(self.target.path(self.target.settings.models.lock))

    @cached_property
    def model_source(self) -> ModelSource:
        from lifecycle.adapters.model_files import BucketSource, FolderSource

        models = self.target.settings.models
        if models.source.startswith("s3://"):
            return BucketSource(self.objects, models.source, exclude=models.exclude)
        return FolderSource(self.target.path(models.source), exclude=models.exclude)

    @cached_property
    def objects(self) -> ObjectStore:
        from lifecycle.adapters.aws.objects import S3Objects

        return S3Objects(self.session)

    @cached_property
    def pointers(self) -> Pointers:
        from lifecycle.adapters.aws.pointers import DynamoPointers

        return DynamoPointers(self.session, table=self.target.table)

    @cached_property
    def registry(self) -> ContainerRegistry:
        from lifecycle.adapters.aws.registry_login import RegistryLogin
        from lifecycle.adapters.container_registry import ContainerRegistry

        return ContainerRegistry(self.target, RegistryLogin(self.target, self.session, self.clock), tell=self.ui.note)

    @cached_property
    def repository_images(self) -> RepositoryImages:
        from lifecycle.adapters.aws.repository_images import EcrImages

        return EcrImages(self.target, self.session)

    @cached_property
    def results(self) -> Results:
        from lifecycle.adapters.results import PostgresResults

        return PostgresResults()

    @cached_property
    def stack(self) -> Stack:
        from lifecycle.adapters.pulumi_auto import PulumiStack

        return PulumiStack(
            self.target,
            self.session,
            self.clock,
            self.ui,
            is_abandoned=lambda lock: self.deployments.is_over(lock.host, lock.pid, lock.at),
        )
