"""How a job definition becomes arguments of the container engine."""

import pytest

from lifecycle.rehearsal.emulator.containers import engine_options, local_name

ECR = "123456789012.dkr.ecr.us-west-2.amazonaws.com"


@pytest.mark.parametrize(
    ("image", "name"),
    [
        (f"{ECR}/team/job@sha256:ab", "127.0.0.1:5000/team/job@sha256:ab"),
        (f"{ECR}.cn/job:1", "127.0.0.1:5000/job:1"),
        ("busybox:1", "busybox:1"),
        ("123.dkr.ecr.us-west-2.amazonaws.com/job", "123.dkr.ecr.us-west-2.amazonaws.com/job"),
    ],
)
def test_only_names_of_ecr_go_to_the_registry(image: str, name: str) -> None:
    assert local_name(image, "127.0.0.1:5000") == name


def test_without_a_registry_names_stay() -> None:
    assert local_name(f"{ECR}/job:1", None) == f"{ECR}/job:1"


def test_demands_of_a_definition_reach_the_engine() -> None:
    properties = {
        "user": "1000:1000",
        "readonlyRootFilesystem": True,
        "ulimits": [{"name": "nofile", "softLimit": 10, "hardLimit": 20}],
        "linuxParameters": {
            "initProcessEnabled": True,
            "sharedMemorySize": 64,
            "tmpfs": [{"containerPath": "/tmp", "size": 16, "mountOptions": ["noexec"]}],
        },
    }
    options = engine_options(properties, {"MEMORY": "256", "VCPU": "0.5", "GPU": "1"})
    (limit,) = options.pop("ulimits")
    assert (limit.name, limit.soft, limit.hard) == ("nofile", 10, 20)
    assert options == {
        "privileged": False,
        "network_mode": "host",
        "mem_limit": "256m",
        "memswap_limit": "512m",
        "cpu_shares": 512,
        "user": "1000:1000",
        "read_only": True,
        "init": True,
        "shm_size": "64m",
        "tmpfs": {"/tmp": "size=16m,noexec"},
    }


def test_overcommitted_swap_follows_max_swap() -> None:
    options = engine_options({"linuxParameters": {"maxSwap": 0}}, {"MEMORY": "100"})
    assert options["memswap_limit"] == "100m"
