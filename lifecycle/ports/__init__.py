"""What workflows ask of the world, in capctl's own words; adapters answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
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
    from lifecycle.ports.deployments import Deployments
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
    from lifecycle.ports.registry import Registry
    from lifecycle.ports.repository_images import RepositoryImages
    from lifecycle.ports.results import Results
    from lifecycle.ports.stack import Stack
    from lifecycle.ports.ui import Ui


class Ports(Protocol):
    """All ports of one target; each is made when it is first asked for, so that a command pays only for what it uses."""

    @property
    def ami_users(self) -> AmiUsers: ...
    @property
    def amis(self) -> Amis: ...
    def amis_in(self, region: str) -> Amis:
        """AMIs of the target's account in any region."""

    @property
    def bake_runs(self) -> BakeRuns: ...
    @property
    def baker(self) -> Baker: ...
    @property
    def base_builder(self) -> BaseBuilder: ...
    @property
    def channels(self) -> Channels: ...
    def channels_in(self, region: str) -> Channels:
        """Channels of the project in any region."""

    @property
    def clock(self) -> Clock: ...
    @property
    def code(self) -> Code: ...
    @property
    def compute(self) -> Compute: ...
    @property
    def contract_file(self) -> ContractFile: ...
    @property
    def dead_letters(self) -> DeadLetters: ...
    @property
    def deployments(self) -> Deployments: ...
    @property
    def engine(self) -> Engine: ...
    @property
    def hand_runs(self) -> HandRuns: ...
    @property
    def image_users(self) -> ImageUsers: ...
    @property
    def image_expiry(self) -> ImageExpiry: ...
    @property
    def instances(self) -> Instances: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def layouts(self) -> Layouts: ...
    @property
    def leftovers(self) -> Leftovers: ...
    @property
    def model_lock(self) -> ModelLock: ...
    @property
    def model_source(self) -> ModelSource: ...
    @property
    def objects(self) -> ObjectStore: ...
    @property
    def pointers(self) -> Pointers: ...
    @property
    def registry(self) -> Registry: ...
    @property
    def repository_images(self) -> RepositoryImages: ...
    @property
    def results(self) -> Results: ...
    @property
    def stack(self) -> Stack: ...
    @property
    def ui(self) -> Ui: ...
