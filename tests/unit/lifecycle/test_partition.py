"""Regions that are not of AWS's commercial part."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import botocore
import pytest

from lifecycle.adapters.aws.registry_login import RegistryLogin
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.config.values import Region
from lifecycle.domain.partition import partition_of
from tests.fakes.clock import FakeClock
from tests.fakes.targets import make_target

_PARTITIONS = json.loads((Path(botocore.__file__).parent / "data" / "partitions.json").read_text())["partitions"]
REGIONS = {
    region: (partition["id"], partition["outputs"]["dnsSuffix"])
    for partition in _PARTITIONS
    for region in partition["regions"]
    if not region.endswith("-global")
}


@pytest.mark.parametrize("region", sorted(REGIONS))
def test_every_region_that_the_sdk_knows_is_in_the_same_partition_and_may_be_configured(region: str) -> None:
    found = partition_of(region)
    assert (found.name, found.domain) == REGIONS[region]
    assert re.search(get_args(Region)[1], region)


def test_ecr_of_china_has_the_host_name_of_china(tmp_path: Path) -> None:
    target = replace(make_target(tmp_path), region="cn-north-1")
    login = RegistryLogin(target, AwsSession(target), FakeClock())
    assert login.url == "https://123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"
    assert target.repository == "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/vision"
