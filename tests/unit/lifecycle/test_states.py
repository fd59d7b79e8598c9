"""The states that services tell."""

import pytest

from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.job import JobState, QueueState
from lifecycle.domain.states import ServiceState
from lifecycle.ports.instances import InstanceState


@pytest.mark.parametrize("kind", [AmiState, InstanceState, JobState, QueueState])
def test_word_that_a_service_has_learnt_since_reads_as_unknown(kind: type[ServiceState]) -> None:
    assert kind("mending") is kind["UNKNOWN"]
    assert kind(kind["UNKNOWN"].value) is kind["UNKNOWN"]
