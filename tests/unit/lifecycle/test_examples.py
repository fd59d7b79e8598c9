"""The examples: the configuration is valid for each of its targets, and pipelines call what there is, with the roles that are described."""

import hashlib
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from lifecycle.cli.context import Invocation
from lifecycle.cli.main import root
from lifecycle.config.load import load_target

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "capctl.yaml"
CI = ROOT / "examples" / "ci"
WORKFLOW, ACTION = CI / "github" / "workflows" / "capctl.yml", CI / "github" / "actions" / "capctl" / "action.yml"
PIPELINE = CI / "gitlab-ci.yml"
BAKING = {"check", "release"}
TRUST = sorted((CI / "aws").glob("trust-*.json"))

_VARIABLE = re.compile(r'\$\{\w+:\+(--[\w-]+) "\$\w+"\}')


def read(path: Path) -> dict[str, Any]:
    document = yaml.safe_load(path.read_text())
    assert isinstance(document, dict)
    return document


def strings(value: Any) -> Iterator[str]:
    """Every text in a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def command_lines(path: Path) -> list[str]:
    """Every line of a script that calls capctl; of a README, what stands in its blocks and its code."""
    text = path.read_text()
    if path.suffix == ".md":
        blocks = re.findall(r"^ *```\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
        lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
        return [line for line in lines if line.startswith("capctl ")]
    scripts = [line.strip() for script in strings(read(path)) for line in script.splitlines()]
    return [line for line in scripts if re.match(r"(\.venv/bin/)?capctl ", line)]


LINES = [(path, line) for path in (WORKFLOW, PIPELINE, ROOT / "docs" / "ci.md") for line in command_lines(path)]


def parse(line: str) -> None:
    """Let click read a command line, and run nothing. Raises what it says of a wrong one."""
    words = shlex.split(_VARIABLE.sub(r"\1 0123456789ab", line))[1:]
    command: click.Command = root
    context = root.make_context("capctl", words, obj=Invocation())
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        assert name is not None
        context, command = found.make_context(name, list(rest), parent=context), found


@pytest.mark.parametrize("target", ["dev", "prod"])
def test_example_loads(target: str) -> None:
    loaded = load_target(EXAMPLE, target, environment={})
    assert loaded.settings.release.spot is (target == "dev")


def test_pipelines_act_on_the_target_of_the_example() -> None:
    target = load_target(EXAMPLE, "prod", environment={})
    assert target.profile is None
    for document in (read(WORKFLOW)["env"], read(PIPELINE)["variables"]):
        assert (document["CAPCTL_TARGET"], document["AWS_REGION"]) == (target.name, target.region)
    roles = {word for path in (WORKFLOW, PIPELINE) for word in strings(read(path)) if word.startswith("arn:aws:iam")}
    assert roles == {f"arn:aws:iam::{target.account}:role/{target.project}-ci-{does}" for does in ("looks", "releases")}


@pytest.mark.parametrize(("path", "line"), LINES, ids=[f"{path.name}: {line}" for path, line in LINES])
def test_command_line_is_one_of_this_version(path: Path, line: str) -> None:
    parse(line)


@pytest.mark.parametrize("line", ["capctl release --yess", "capctl relase", "capctl deploy --ami", "capctl image psuh"])
def test_wrong_command_line_would_be_found(line: str) -> None:
    with pytest.raises(Exception, match=r"yess|relase|argument|psuh"):
        parse(line)


def test_pipelines_call_what_they_are_for() -> None:
    for path in (WORKFLOW, PIPELINE):
        called = [" ".join(line.split()[1:3]) for line in command_lines(path)]
        for wanted in ("config check", "image build", "release --dry-run", "release --yes", "rollback --yes", "drift"):
            assert wanted in called, path


def test_programs_are_of_the_versions_that_capctl_needs() -> None:
    (pulumi,) = re.findall(r"^pulumi==(.+)$", (ROOT / "requirements" / "capctl.in").read_text(), re.MULTILINE)
    (step,) = [step for step in read(ACTION)["runs"]["steps"] if step.get("uses", "").startswith("pulumi/actions@")]
    assert step["with"]["pulumi-version"] == pulumi
    assert read(PIPELINE)[".capctl"]["image"]["name"].endswith(f":{pulumi}")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder of programs that download and install nothing, and write down what they were asked."""
    for name, does in {
        "curl": 'for word; do case $word in *SHA256SUMS) cat "$TMPDIR/sums"; exit;; http*) echo package >"${word##*/}";; esac; done',
        "python": "echo plugins.pkr.hcl",
        **dict.fromkeys(("chmod", "dpkg", "packer", "pip"), ":"),
    }.items():
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>"$TMPDIR/called"\n{does}\n')
        program.chmod(0o755)
    return tmp_path


def prepared(machine: Path, **variables: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """How the preparation of GitLab's jobs ends, and the programs that it called."""
    pipeline = read(PIPELINE)
    script = "\n".join(pipeline[".bakes"]["before_script"])
    packer = f"packer_{pipeline['variables']['PACKER_VERSION']}_linux_amd64.zip"
    digest = hashlib.sha256(b"package\n").hexdigest()
    (machine / "sums").write_text(f"{digest}  {packer}\n{'0' * 64}  {packer.replace('linux', 'darwin')}\n")
    token = machine / ".capctl" / "token"
    environment = {name: str(value) for name, value in pipeline["variables"].items()} | {
        "PATH": f"{machine}:{os.environ['PATH']}",
        "TMPDIR": str(machine),
        "CI_PROJECT_DIR": str(machine),
        "AWS_TOKEN": "token",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
    }
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        env=environment | variables,
        cwd=machine,
        capture_output=True,
        text=True,
        check=False,
    )
    called = machine / "called"
    return done, called.read_text().splitlines() if called.exists() else []


def test_pipeline_installs_the_plugin_of_the_checksum_that_somebody_put_in(machine: Path) -> None:
    done, called = prepared(machine, PLUGIN_SHA256=hashlib.sha256(b"package\n").hexdigest())
    assert done.returncode == 0, done.stderr
    assert "dpkg --install session-manager-plugin.deb" in called
    version = read(PIPELINE)["variables"]["PLUGIN_VERSION"]
    assert re.fullmatch(r"\d+(\.\d+){3}", version)
    assert any(f"/{version}/" in line for line in called if line.startswith("curl"))


def test_pipeline_refuses_to_begin_without_a_checksum(machine: Path) -> None:
    done, called = prepared(machine)
    assert done.returncode != 0
    assert "PLUGIN_SHA256" in done.stderr
    assert called == []


def test_pipeline_installs_no_plugin_of_another_checksum(machine: Path) -> None:
    done, called = prepared(machine, PLUGIN_SHA256="0" * 64)
    assert done.returncode != 0
    assert "session-manager-plugin.deb: FAILED" in done.stdout + done.stderr
    assert not any(line.startswith(("dpkg", "pip")) for line in called)


def steps() -> list[dict[str, Any]]:
    jobs = (job["steps"] for job in read(WORKFLOW)["jobs"].values())
    return [step for steps in (*jobs, read(ACTION)["runs"]["steps"]) for step in steps]


def test_actions_have_versions() -> None:
    used = [step["uses"] for step in steps() if "uses" in step]
    assert used
    assert all(
        re.fullmatch(r"[\w-]+/[\w-]+@(v\d+(\.\d+)*|[0-9a-f]{40})|\./\.github/actions/capctl", name) for name in used
    )


def test_scripts_take_what_others_wrote_as_variables() -> None:
    """What GitHub pastes into a script is part of it; only ids of its own and what the workflow sets may be."""
    for step in steps():
        assert "${{" not in step.get("run", ""), step


def test_no_secret_is_kept() -> None:
    for path in (WORKFLOW, ACTION, PIPELINE):
        text = path.read_text()
        assert not re.search(r"secrets\.|aws-(access|secret)|AWS_(ACCESS|SECRET)|AKIA|PASSPHRASE|PASSWORD", text), path


def test_jobs_of_github_have_the_least_permissions() -> None:
    workflow = read(WORKFLOW)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["permissions"] == {"contents": "read", "id-token": "write"}
        assert "timeout-minutes" in job
    assert all(step["with"] == {"persist-credentials": False} for step in steps() if "checkout" in step.get("uses", ""))


def test_each_event_of_github_starts_one_job() -> None:
    workflow = read(WORKFLOW)
    # YAML 1.1 takes the key `on` for a truth value.
    (triggers,) = (value for key, value in workflow.items() if key not in {"name", "permissions", "env", "jobs"})
    conditions = {name: job["if"] for name, job in workflow["jobs"].items()}
    assert triggers.keys() == {"push", "pull_request", "schedule", "workflow_dispatch"}
    assert sorted(conditions.values()) == sorted(f"github.event_name == '{event}'" for event in triggers)
    assert triggers["push"] == {"branches": ["main"]}


def test_what_changes_the_target_is_protected_and_never_races() -> None:
    github, gitlab = read(WORKFLOW)["jobs"], read(PIPELINE)
    for name in ("release", "rollback"):
        assert github[name]["environment"] == gitlab[name]["environment"]["name"] == "production"
        assert github[name]["concurrency"] == {"group": f"capctl-prod-{name}", "cancel-in-progress": False}
        assert gitlab[name]["resource_group"] == f"capctl-prod-{name}"
    for name in ("check", "drift"):
        assert "environment" not in github[name] | gitlab[name]
        assert "looks" in json.dumps(github[name]) + json.dumps(gitlab[name])
        assert "releases" not in json.dumps(github[name]) + json.dumps(gitlab[name])


def test_stages_of_gitlab_are_those_of_its_jobs() -> None:
    pipeline = read(PIPELINE)
    jobs = {name: job for name, job in pipeline.items() if isinstance(job, dict) and "script" in job}
    assert {job["stage"] for job in jobs.values()} == set(pipeline["stages"])
    for name, job in jobs.items():
        assert job["extends"] == (".bakes" if name in BAKING else ".capctl")
        assert all(isinstance(line, str) for line in job["script"])
    assert jobs["rollback"]["rules"][0]["when"] == "manual"
    assert pipeline[".capctl"]["id_tokens"] == {"AWS_TOKEN": {"aud": "https://gitlab.com"}}


def test_only_who_may_bake_is_given_what_a_bake_needs() -> None:
    github = read(WORKFLOW)["jobs"]
    prepared_for = {
        name: [step["with"] for step in job["steps"] if "capctl" in step.get("uses", "")]
        for name, job in github.items()
    }
    assert {name: given.get("bakes", "true") for name, (given,) in prepared_for.items()} == {
        name: "true" if name in BAKING else "false" for name in github
    }
    action = read(ACTION)
    assert action["inputs"]["bakes"]["default"] == "true"
    for step in action["runs"]["steps"]:
        is_for_bakes = "packer" in step.get("uses", "") + step.get("run", "")
        assert step.get("if") == ("inputs.bakes == 'true'" if is_for_bakes else None)
    pipeline = read(PIPELINE)
    assert pipeline[".bakes"]["extends"] == ".capctl"
    assert set(pipeline[".capctl"]["before_script"]) < set(pipeline[".bakes"]["before_script"])
    assert "packer" not in "".join(pipeline[".capctl"]["before_script"])


def test_summary_and_logs_are_kept_of_what_failed() -> None:
    release = read(WORKFLOW)["jobs"]["release"]["steps"]
    assert any("$GITHUB_STEP_SUMMARY" in step.get("run", "") for step in release)
    (kept,) = [step for step in release if "upload-artifact" in step.get("uses", "")]
    assert kept["if"] == "failure() || cancelled()"
    assert read(PIPELINE)["release"]["artifacts"]["when"] == "always"
    for paths in (kept["with"]["path"], "\n".join(read(PIPELINE)["release"]["artifacts"]["paths"])):
        assert {".capctl/logs/", ".capctl/journal-*.jsonl"} <= set(paths.split())


@pytest.mark.parametrize("path", TRUST, ids=lambda path: path.stem)
def test_role_trusts_one_repository_and_who_asks_for_it(path: Path) -> None:
    (statement,) = json.loads(path.read_text())["Statement"]
    host = statement["Principal"]["Federated"].partition("oidc-provider/")[2]
    conditions = {key: value for operator in statement["Condition"].values() for key, value in operator.items()}
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Effect"] == "Allow"
    assert conditions.keys() == {f"{host}:aud", f"{host}:sub"}
    github = "github" in path.name
    assert conditions[f"{host}:aud"] == ("sts.amazonaws.com" if github else "https://gitlab.com")
    subjects = conditions[f"{host}:sub"]
    repository = "repo:example/vision:" if github else "project_path:example/vision:ref_type:branch:ref:"
    for subject in [subjects] if isinstance(subjects, str) else subjects:
        assert subject.startswith(repository)
        assert "*" not in subject.removeprefix(repository) or "looks" in path.name


def test_role_that_releases_is_of_the_protected_place_alone() -> None:
    subjects = {
        "github": "repo:example/vision:environment:production",
        "gitlab": "project_path:example/vision:ref_type:branch:ref:main",
    }
    for name, subject in subjects.items():
        (statement,) = json.loads((CI / "aws" / f"trust-{name}-releases.json").read_text())["Statement"]
        assert subject in statement["Condition"]["StringEquals"].values()
    assert len(TRUST) == 4


def test_policies_of_the_roles_are_those_of_the_commands() -> None:
    """docs/iam.md is compared with the code elsewhere: here, that it lets a release do all that its row says."""
    page = (ROOT / "docs" / "iam.md").read_text()
    (row,) = re.findall(r"^\| `capctl release` \| (.*) \|$", page, re.MULTILINE)
    releases, looks = [_policy(topic) for topic in _topics()], _policy("looks")
    asked = set(re.findall(r"`([\w-]+:\w+)`", row))
    allowed = {action for policy in releases for statement in policy["Statement"] for action in statement["Action"]}
    assert asked <= allowed
    reads = set(re.findall(r"`([\w-]+:\w+)`", row.partition(" | ")[0]))
    (drift,) = re.findall(r"^\| `capctl drift` \| (.*) \|  \|$", page, re.MULTILINE)
    looked = {action for statement in looks["Statement"] for action in statement["Action"]}
    assert set(re.findall(r"`([\w-]+:\w+)`", drift)) <= looked < reads | {"batch:DescribeJobDefinitions"}
    assert not any("*" in action for action in allowed | looked)
    for linked in (CI / "README.md", ROOT / "docs" / "ci.md"):
        assert "iam.md#the-policies-of-a-pipeline" in linked.read_text()


def test_set_up_makes_a_policy_of_each_topic() -> None:
    """The policies of the role that releases are those that docs/ci.md attaches."""
    trusts = {path.stem for path in (CI / "aws").glob("trust-*.json")}
    assert {path.stem for path in (CI / "aws").glob("*.json")} == {*_topics(), "looks"} | trusts


def _topics() -> list[str]:
    (line,) = re.findall(r"^ *for topic in (.*); do$", (ROOT / "docs" / "ci.md").read_text(), re.MULTILINE)
    return str(line).split()


def _policy(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CI / "aws" / f"{name}.json").read_text())
    return found
