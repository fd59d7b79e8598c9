"""From capctl.yaml and the environment to one target."""

from pathlib import Path

import pytest

from lifecycle.config.load import Resolved, load_target, resolve
from lifecycle.errors import UsageError
from tests.golden import assert_golden

SMALL = """\
project: shop
targets:
  dev:
    account: "012345678901"
    region: eu-central-1
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _resolve(text: str, name: str | None = None, **environment: str) -> Resolved:
    path = Path("capctl.yaml")
    path.write_text(text)
    return resolve(path, name, environment=environment)


def _failure(text: str, name: str | None = None, **environment: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        _resolve(text, name, **environment)
    return caught.value


def _origin(found: Resolved, name: str) -> str:
    return next(setting.origin for setting in found.settings if setting.name == name)


def test_a_small_file_gives_a_target_with_defaults(tmp_path: Path) -> None:
    target = _resolve(SMALL).target
    assert (target.name, target.project, target.account, target.region) == (
        "dev",
        "shop",
        "012345678901",
        "eu-central-1",
    )
    assert target.settings.smoke.timeout_s == 1800
    assert target.folder == tmp_path


def test_variable_beats_target_beats_defaults_beats_schema() -> None:
    text = (
        "project: shop\n"
        "defaults:\n"
        "  smoke: {timeout_s: 20, min_tracks: 2, database_url: d}\n"
        "targets:\n"
        '  dev: {account: "012345678901", region: eu-central-1, smoke: {timeout_s: 30, min_tracks: 3}}\n'
    )
    found = _resolve(text, CAPCTL_SMOKE__TIMEOUT_S="40")
    smoke = found.target.settings.smoke
    assert (smoke.timeout_s, smoke.min_tracks, smoke.database_url, smoke.video_url) == (40, 3, "d", None)
    assert _origin(found, "smoke.timeout_s") == "CAPCTL_SMOKE__TIMEOUT_S"
    assert _origin(found, "smoke.min_tracks") == "capctl.yaml:5:91 targets.dev"
    assert _origin(found, "smoke.database_url") == "capctl.yaml:3:55 defaults"
    assert _origin(found, "smoke.video_url") == "default"


def test_mappings_merge_by_key_and_lists_replace() -> None:
    text = """\
project: shop
defaults:
  release:
    instance_types: [a, b]
    environment: {ONE: "1", TWO: "2"}
targets:
  dev:
    account: "012345678901"
    region: eu-central-1
    release:
      instance_types: [c]
      environment: {TWO: two}
"""
    release = _resolve(text, CAPCTL_RELEASE__ENVIRONMENT__Three="3").target.settings.release
    assert release.instance_types == ("c",)
    assert release.environment == {"ONE": "1", "TWO": "two", "Three": "3"}


def test_a_target_may_take_a_default_away_with_null() -> None:
    text = (
        SMALL.replace("targets:", "defaults: {ami: {kms_key_id: alias/vision}}\ntargets:")
        + "    ami: {kms_key_id: null}\n"
    )
    assert _resolve(text).target.settings.ami.kms_key_id is None


def test_a_section_with_every_key_commented_out_is_empty() -> None:
    assert _resolve(SMALL + "defaults:\n  smoke:\n").target.settings.smoke.min_tracks is None


def test_a_missing_file_points_to_init() -> None:
    with pytest.raises(UsageError) as caught:
        load_target(Path("nowhere.yaml"), None, environment={})
    assert caught.value.code == "config-missing"
    assert "`capctl init`" in caught.value.hint


@pytest.mark.parametrize(
    ("environment", "remedy"),
    [
        ({"CAPCTL_CONFIG": "nowhere.yaml"}, "unset that variable"),
        ({"CAPCTL_CONFIG": "nowhere.yaml", "CAPCTL_REHEARSAL": "121212-abcd"}, "rehearsal 121212-abcd"),
    ],
)
def test_a_missing_file_that_a_variable_names_points_to_the_variable(environment: dict[str, str], remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_target(Path("nowhere.yaml"), None, environment=environment)
    assert "CAPCTL_CONFIG names it" in caught.value.hint
    assert remedy in caught.value.hint
    assert "`capctl init`" not in caught.value.hint


def test_a_file_that_is_not_text_is_unreadable() -> None:
    Path("capctl.yaml").write_bytes(b"project: \xff\xfe")
    with pytest.raises(UsageError) as caught:
        load_target(Path("capctl.yaml"), None, environment={})
    assert caught.value.code == "config-unreadable"


@pytest.mark.parametrize("text", ["", "# nothing\n", "just words\n", "[]\n"])
def test_a_file_without_settings_is_invalid(text: str) -> None:
    assert _failure(text).code == "config-invalid"


def test_one_mistake_is_the_message_itself() -> None:
    failure = _failure(SMALL.replace('"012345678901"', "012345670123"))
    assert failure.message == "capctl.yaml:4:14: `targets.dev.account` must be text, got the number `012345670123`"
    assert failure.hint == 'Write `account: "012345670123"`, in quotes, so that it is read as it stands'


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("region: moon", "region: eu-central-1"),
        ("ami: {ssh_interface: telnet}", "ssh_interface: session_manager"),
        ("ami: {ssh_port: 0}", "ssh_port: 22"),
        ("image: {base: {python: x}}", 'python: "3.12"'),
        ("schema: capctl.config/9", "schema: capctl.config/1"),
        ("project: Shop 1", "project: vision"),
    ],
)
def test_hint_of_a_mistake_shows_what_would_be_right(line: str, hint: str) -> None:
    name = line.partition(":")[0]
    target = {"account": '"012345678901"', "region": "eu-central-1"}
    top = {"project": "shop"}
    (top if name in {"schema", "project"} else target)[name] = line.partition(": ")[2]
    text = "".join(f"{key}: {value}\n" for key, value in top.items())
    text += f"targets: {{dev: {{{', '.join(f'{key}: {value}' for key, value in target.items())}}}}}\n"
    assert _failure(text).hint == f"Write for example `{hint}`"


def test_every_mistake_of_file_and_environment_is_named_at_once() -> None:
    text = (Path(__file__).parent / "mistakes.yaml").read_text()
    failure = _failure(
        text,
        CAPCTL_SMOKE__TIMOUT_S="99",
        CAPCTL_RELEASE__GPUS="x",
        CAPCTL_ACCOUNT="12",
        CAPCTL_RELEASE__INSTANCE_TYPES="[a, 2]",
    )
    assert failure.message == f"The configuration has {len(failure.details)} mistakes"
    assert_golden("config-mistakes.txt", "\n".join(failure.details) + "\n")


TWO = SMALL + '  prod: {account: "012345678902", region: eu-central-1}\n'


def test_several_targets_and_none_chosen_names_them() -> None:
    failure = _failure(TWO)
    assert failure.code == "target-unclear"
    assert "`dev` or `prod`" in failure.hint


def test_the_named_target_beats_the_default_one() -> None:
    text = f"default_target: prod\n{TWO}"
    assert _resolve(text).target.name == "prod"
    assert _resolve(text, "dev").target.name == "dev"


def test_an_unknown_target_gets_a_near_name() -> None:
    failure = _failure(TWO, "prd")
    assert failure.code == "target-unknown"
    assert "did you mean `prod`?" in failure.message


@pytest.mark.parametrize("name", ["job", "team/job", "a.team/my_job-2/x1", "0" + "1" * 255])
def test_repository_may_stand_in_namespaces(name: str) -> None:
    found = _resolve(f'{SMALL}    image: {{repository: "{name}"}}\n').target
    assert found.repository == f"012345678901.dkr.ecr.eu-central-1.amazonaws.com/{name}"


@pytest.mark.parametrize(
    "name", ["x", "/job", "job/", "team//job", "Team/job", "job-", "a/../b", "job:1", "job@sha256"]
)
def test_repository_that_ecr_would_not_take_is_refused(name: str) -> None:
    failure = _failure(f'{SMALL}    image: {{repository: "{name}"}}\n')
    assert "must be the name of an ECR repository, such as `team/job`" in failure.message


@pytest.mark.parametrize("section", ["image", "release"])
@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ('""', "must hold letters, digits and `_` alone"),
        ("A=B", "must hold letters, digits and `_` alone"),
        ("1A", "must hold letters, digits and `_` alone"),
        ("CAPCTL_RUNTIME_CONTRACT", "is reserved for capctl and AWS Batch"),
        ("MODEL_SET", "is reserved for capctl and AWS Batch"),
        ("AWS_BATCH_JOB_ID", "is reserved for capctl and AWS Batch"),
    ],
)
def test_variable_that_no_container_can_have_or_that_others_set_is_refused(section: str, name: str, rule: str) -> None:
    failure = _failure(f"{SMALL}    {section}: {{environment: {{{name}: x}}}}\n")
    assert failure.code == "config-invalid"
    shown = name.strip('"')
    assert f"the name `{shown}` {rule}" in failure.message


def test_variable_of_a_container_that_capctls_own_variables_set_is_checked_too() -> None:
    failure = _failure(SMALL, CAPCTL_RELEASE__ENVIRONMENT__MODEL_SET="x")
    assert "is reserved for capctl and AWS Batch" in failure.message
    assert "#xdcff is not allowed" in _failure(SMALL, CAPCTL_RELEASE__ENVIRONMENT__A="a\udcff").message


@pytest.mark.parametrize("written", ["[]", '[""]', '[python3, " "]'])
def test_entry_point_that_starts_nothing_is_refused(written: str) -> None:
    assert "image.entrypoint" in _failure(f"{SMALL}    image: {{entrypoint: {written}}}\n").message


@pytest.mark.parametrize(
    "setting",
    [
        "image: {retention: {min_age_days: 1000000000000}}",
        "image: {retention: {untagged_days: 1000000000000}}",
        "image: {registry: {expire_code_days: 1000000000000}}",
        "image: {registry: {expire_bases_beyond: 1000000000}}",
        "image: {registry: {expire_untagged_days: 1000000000000}}",
        "ami: {retention: {min_age_days: 1000000000000}}",
        "ami: {retention: {grace_hours: 1000000000000}}",
        "ami: {timeout_s: 1000000000000}",
        "release: {timeout_s: 1000000000000}",
        "smoke: {timeout_s: 1000000000000}",
    ],
)
def test_time_that_no_clock_or_service_can_hold_is_refused(setting: str) -> None:
    assert "must be at most" in _failure(f"{SMALL}    {setting}\n").message


def test_passwords_are_masked_where_settings_are_shown() -> None:
    found = _resolve(SMALL, CAPCTL_SMOKE__DATABASE_URL="postgresql://me:secret@db/x")
    shown = {setting.name: setting.shown for setting in found.settings}
    assert shown["smoke.database_url"] == "postgresql://me:***@db/x"
    assert found.target.settings.smoke.database_url == "postgresql://me:secret@db/x"
