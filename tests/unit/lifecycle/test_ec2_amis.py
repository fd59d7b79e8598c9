"""AMIs as EC2 shows them: disabled ones only when it is asked for them, deregistered ones for a while longer."""

from __future__ import annotations

from typing import Any

from lifecycle.adapters.aws.amis import Ec2Amis
from lifecycle.domain.ami import AmiId
from lifecycle.domain.ami_status import AmiState


class FakeEc2:
    """EC2 that holds `images` and leaves the disabled ones out, as AWS does, unless they are asked for."""

    def __init__(self, *images: dict[str, Any]) -> None:
        self.images = images

    def client(self, service: str, _region: str | None = None) -> FakeEc2:
        assert service == "ec2"
        return self

    def describe_images(self, *, IncludeDisabled: bool = False, **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's name
        shown = [image for image in self.images if IncludeDisabled or image["State"] != "disabled"]
        return {"Images": shown}


def amis(*states: str) -> Ec2Amis:
    images = ({"ImageId": f"ami-{state}", "State": state, "SourceInstanceId": f"i-{state}"} for state in states)
    return Ec2Amis(FakeEc2(*images))  # type: ignore[arg-type]


def test_disabled_ami_tells_the_instance_it_was_made_from() -> None:
    found = amis("disabled")
    assert found.source_instance(found.get(AmiId("ami-disabled"))) == "i-disabled"


def test_disabled_ami_is_found_by_name() -> None:
    found = amis("disabled").by_name("any")
    assert found is not None
    assert found.state is AmiState.DISABLED


def test_name_of_a_deregistered_ami_is_free_or_that_of_the_next() -> None:
    assert amis("deregistered").by_name("any") is None
    found = amis("deregistered", "available").by_name("any")
    assert found is not None
    assert found.state is AmiState.AVAILABLE
