"""Settings from CAPCTL_* variables."""

import pytest

from lifecycle.config.environment import read_variables, variable_name
from lifecycle.config.keys import Kind, known_keys
from lifecycle.config.schema import TargetSection


@pytest.mark.parametrize(
    ("variable", "text", "values"),
    [
        ("CAPCTL_ACCOUNT", "012345670123", {"account": "012345670123"}),
        ("CAPCTL_SMOKE__TIMEOUT_S", "60", {"smoke": {"timeout_s": 60}}),
        ("CAPCTL_RELEASE__SPOT", "false", {"release": {"spot": False}}),
        ("CAPCTL_IMAGE__BASE__REQUIREMENTS", "x.txt", {"image": {"base": {"requirements": "x.txt"}}}),
        ("CAPCTL_RELEASE__INSTANCE_TYPES", "a, b", {"release": {"instance_types": ("a", "b")}}),
        ("CAPCTL_RELEASE__INSTANCE_TYPES", "[a, b]", {"release": {"instance_types": ("a", "b")}}),
        ("CAPCTL_RELEASE__ENVIRONMENT__Fps", "2", {"release": {"environment": {"Fps": "2"}}}),
        ("CAPCTL_PROFILE", "", {}),
        ("CAPCTL_DEBUG", "1", {}),
        ("SMOKE__TIMEOUT_S", "1", {}),
    ],
)
def test_a_variable_sets_the_key_it_names(variable: str, text: str, values: dict[str, object]) -> None:
    found = read_variables({variable: text})
    assert found.values == values
    assert found.mistakes == ()


@pytest.mark.parametrize(
    ("variable", "text", "mistake"),
    [
        ("CAPCTL_SMOKE__TIMEOUT_S", "soon", "`smoke.timeout_s` must be a whole number, got `soon`"),
        ("CAPCTL_SMOKE__TIMEOUT_S", "1", "`smoke.timeout_s` must be at least 10, got the number `1`"),
        ("CAPCTL_RELEASE__SPOT", "[", "`release.spot` must be `true` or `false`, got `[`"),
        ("CAPCTL_AMI__ARCHITECTURE", "x86", "`ami.architecture` must be `x86_64` or `arm64`, got `x86`"),
        ("CAPCTL_REGION", "moon", "`region` must be an AWS region such as `eu-central-1`, got `moon`"),
        (
            "CAPCTL_SMOKE__TIMOUT_S",
            "60",
            "the variable sets nothing that capctl knows; did you mean `CAPCTL_SMOKE__TIMEOUT_S`?",
        ),
        ("CAPCTL_RELEASE__", "60", "the variable sets nothing that capctl knows"),
    ],
)
def test_a_mistake_names_the_variable(variable: str, text: str, mistake: str) -> None:
    (found,) = read_variables({variable: text}).mistakes
    assert found.where == variable
    assert found.text.startswith(mistake)


def test_every_key_of_a_target_has_a_variable_that_sets_it() -> None:
    for path, key in known_keys(TargetSection).items():
        if key.kind in (Kind.SECTION, Kind.MAPPING):
            continue
        sample = {Kind.INTEGER: "99", Kind.BOOLEAN: "true"}.get(key.kind, "x")
        assert list(read_variables({variable_name(path): sample}).names) == [path]
