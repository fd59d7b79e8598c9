"""`ports.Ports` made of fakes."""

from copy import copy

from lifecycle.adapters.model_files import BucketSource
from lifecycle.ports.model_lock import ModelLock
from lifecycle.ports.model_source import ModelSource
from tests.fakes.amis import FakeAmis
from tests.fakes.bake_runs import FakeBakeRuns
from tests.fakes.baker import FakeBaker
from tests.fakes.channels import FakeChannels
from tests.fakes.compute import FakeCompute
from tests.fakes.contract_file import FakeContractFile
from tests.fakes.dead_letters import FakeDeadLetters
from tests.fakes.deployments import FakeDeployments
from tests.fakes.image_expiry import FakeImageExpiry
from tests.fakes.images import FakeBaseBuilder, FakeCode, FakeImageRegistry
from tests.fakes.instances import FakeInstances
from tests.fakes.jobs import FakeJobs
from tests.fakes.journal import FakeJournal
from tests.fakes.leftovers import FakeLeftovers
from tests.fakes.local_images import FakeEngine, FakeHandRuns, FakeLayouts
from tests.fakes.model_lock import FakeModelLock
from tests.fakes.objects import FakeObjects
from tests.fakes.pointers import FakePointers
from tests.fakes.repository_images import FakeRepositoryImages
from tests.fakes.results import FakeResults
from tests.fakes.stack import OUTPUTS, FakeStack
from tests.fakes.ui import FakeUi
from tests.fakes.users import FakeUsers


class FakePorts:
    """One account, one machine: fakes that know each other, such as a baker that makes its AMIs in `amis`.

    A test gives those that it prepares; the account is bootstrapped and otherwise empty.
    """

    def __init__(
        self,
        *,
        amis: FakeAmis | None = None,
        baker: FakeBaker | None = None,
        model_lock: ModelLock | None = None,
        model_source: ModelSource | None = None,
        objects: FakeObjects | None = None,
        stack: FakeStack | None = None,
        ui: FakeUi | None = None,
    ) -> None:
        self.ami_users = FakeUsers()
        self.amis = amis or FakeAmis()
        self.bake_runs = FakeBakeRuns()
        self.baker = baker or FakeBaker(self.amis)
        self.elsewhere: dict[str, FakeAmis] = {}
        self.channels = FakeChannels()
        self.channels_elsewhere: dict[str, FakeChannels] = {}
        self.stack = stack or FakeStack()
        self.clock = self.stack.batch.clock
        self.contract_file = FakeContractFile()
        self.dead_letters = FakeDeadLetters()
        self.deployments = FakeDeployments()
        self.engine = FakeEngine()
        self.hand_runs = FakeHandRuns()
        self.journal = FakeJournal()
        self.layouts = FakeLayouts()
        self.leftovers = FakeLeftovers(self.amis)
        self.model_lock = model_lock or FakeModelLock()
        self.objects = objects or FakeObjects(OUTPUTS.bucket)
        self.model_source = model_source or BucketSource(self.objects, f"s3://{OUTPUTS.bucket}/source", exclude=())
        self.instances = FakeInstances(self.objects)
        self.pointers = FakePointers()
        self.registry = FakeImageRegistry(self.clock)
        self.repository_images = FakeRepositoryImages(self.registry, self.clock)
        self.image_users = FakeUsers()
        self.base_builder = FakeBaseBuilder(self.registry)
        self.code = FakeCode(self.registry, self.base_builder)
        self.results = FakeResults()
        self.compute = FakeCompute(self.stack)
        self.image_expiry = FakeImageExpiry(self.registry, self.clock, self.stack)
        self.jobs = FakeJobs(self.stack, self.objects)
        self.ui = ui or FakeUi()

    def beside(self) -> "FakePorts":
        """Another user of the same account, with a machine, a terminal and a working tree of their own."""
        other = copy(self)
        other.journal, other.ui = FakeJournal(), FakeUi()
        other.code = FakeCode(self.registry, self.base_builder)
        return other

    def amis_in(self, region: str) -> FakeAmis:
        return self.elsewhere.setdefault(region, FakeAmis())

    def channels_in(self, region: str) -> FakeChannels:
        return self.channels_elsewhere.setdefault(region, FakeChannels())
