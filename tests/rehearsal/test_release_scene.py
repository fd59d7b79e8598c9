"""The whole life of a release with real parts, and every command by hand on the stage that was kept."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from analyzer.contract import Table
from lifecycle.rehearsal.shell import EXPORTED
from tests.rehearsal.kept_stage import Beside, KeptStage, Project

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(600)]

STEPS = [
    "stage up", "bootstrap", "sample video", "models lock", "models push", "ami bake", "ami verify",
    "ami bake, unchanged", "image base", "image push", "image verify", "deploy", "smoke", "ami promote --to stable",
    "one-line change, image push", "deploy the change", "broken change, image push", "deploy the broken image",
    "status", "image policy --preview", "rollback", "drift", "git revert, image push", "deploy, unchanged",
]  # fmt: skip


def rows_of(kept: KeptStage, session: str) -> dict[str, int]:
    with psycopg.connect(kept.environment["DATABASE_URL"]) as connection:
        query = "SELECT count(*) FROM {} WHERE session_id = %s"
        found = {table.value: connection.execute(query.format(table.value), (session,)).fetchone() for table in Table}
    return {name: row[0] for name, row in found.items() if row}


def test_report_says_of_every_step_that_it_was_real_and_passed(kept: KeptStage) -> None:
    report = json.loads((kept.report_folder / "report.json").read_text())
    assert report.keys() == {"schema", "ok", "seconds", "peak_rss_bytes", "steps"}
    assert (report["schema"], report["ok"]) == ("capctl.rehearsal/1", True)
    assert all(step.keys() == {"name", "seconds", "kind", "result"} for step in report["steps"])
    assert [step["name"] for step in report["steps"]] == STEPS
    assert {step["kind"] for step in report["steps"]} == {"real"}
    assert 0 < report["peak_rss_bytes"] <= 2.5e9
    page = (kept.report_folder / "report.md").read_text()
    assert all(f"| {name} |" in page for name in STEPS)


def test_document_of_a_kept_rehearsal_is_the_report_and_its_environment(kept: KeptStage) -> None:
    report = json.loads((kept.report_folder / "report.json").read_text())
    assert kept.document == {**report, "environment": kept.environment}
    assert {"AWS_ENDPOINT_URL", "CAPCTL_CONFIG", "DATABASE_URL", "REGISTRY"} <= kept.environment.keys()


def test_environment_is_what_a_shell_is_told_to_forget(kept: KeptStage) -> None:
    assert kept.environment.keys() == {*EXPORTED, "PATH"}


def test_first_thing_that_a_person_types_finds_the_active_release(kept: KeptStage) -> None:
    pushed, deployed = kept.first_answers
    assert not pushed["changed"]
    assert not deployed["changed"]
    assert (kept.project.folder / "models.lock.yaml").exists()


def test_rehearsal_that_was_kept_ends_with_what_to_do_next(kept: KeptStage) -> None:
    folder, video, end = kept.said.splitlines()[-3:]
    assert folder.endswith(str(kept.project.folder))
    assert f"s3://{kept.project.bucket}/samples/portrait.mp4" in video
    assert f"capctl rehearse --down {kept.id}" in end


def test_rehearsal_that_is_interrupted_beside_another_leaves_nothing(rehearsals: tuple[KeptStage, Beside]) -> None:
    _, beside = rehearsals
    assert (beside.answer.exit_code, beside.answer.code) == (130, "interrupted")
    assert beside.left == []
    assert beside.stopped_s < 60


@pytest.mark.parametrize(
    ("command", "schema"),
    [
        ("config show --origins", "config-values"),
        ("config check", "config-check"),
        ("bootstrap", "base"),
        ("models lock --check", "models-lock"),
        ("models verify", "models-verification"),
        ("models push", "models-push"),
        ("ami ls", "ami-list"),
        ("ami show AMI", "ami"),
        ("ami verify AMI", "ami-verification"),
        ("image base", "image-base"),
        ("image build", "code-layer"),
        ("image policy", "image-policy"),
        ("image push", "image"),
        ("image verify", "image-report"),
        ("smoke", "smoke"),
        ("status", "status"),
        ("drift", "drift"),
        ("job ls", "job-list"),
    ],
)
def test_command_by_hand_answers_with_one_document(project: Project, command: str, schema: str) -> None:
    ami = project.done("ami", "bake")["id"] if "AMI" in command else ""
    document = project.done(*command.replace("AMI", ami).split())
    assert document["schema"] == f"capctl.{schema}/1"


def test_what_is_there_already_is_neither_sent_nor_baked_again(project: Project) -> None:
    started = project.stage.bake_traces()
    assert not project.done("models", "push")["changed"]
    assert not project.done("ami", "bake")["changed"]
    assert not project.done("image", "base")["changed"]
    pushed = project.done("image", "push")
    assert not pushed["changed"]
    assert pushed["requests"] <= 2
    assert project.stage.bake_traces() == started


def test_job_through_the_pointer_stores_its_rows(project: Project, kept: KeptStage) -> None:
    video = f"s3://{project.bucket}/samples/portrait.mp4"
    job = project.done("job", "submit", "--video", video, "--session", "by-hand")
    lines = project.done("job", "logs", job["id"], "--follow")["lines"]
    assert '"event":"finished"' in lines[-1]["message"]
    (listed,) = [one for one in project.done("job", "ls")["jobs"] if one["id"] == job["id"]]
    assert (listed["state"], listed["exit_code"]) == ("SUCCEEDED", 0)
    rows = rows_of(kept, "by-hand")
    assert rows["analysis_jobs"] == 1
    assert rows["analysis_detections"] > rows["analysis_tracks"] >= 1
    keys = kept.client("s3").list_objects_v2(Bucket=project.bucket, Prefix="results/by-hand/")["Contents"]
    assert "results/by-hand/result.json" in {entry["Key"] for entry in keys}


def test_rollback_goes_forward_by_name_only_and_the_active_release_needs_no_deploy(project: Project) -> None:
    status = project.done("status")
    before, ids = status["pointer"], [release["id"] for release in status["releases"]]
    older, younger = sorted((before["release_id"], before["previous_release_id"]), key=ids.index)
    there = project.done("rollback", "--yes", "--to", younger)["pointer"]
    back = project.done("rollback", "--yes")["pointer"]
    assert (back["release_id"], back["previous_release_id"]) == (older, younger)
    assert back["version"] == there["version"] + 1
    assert younger in project.fails("rollback-unclear", 1, "rollback", "--yes")
    project.done("rollback", "--yes", "--to", before["release_id"])
    status = project.done("status")
    (active,) = [release for release in status["releases"] if release["role"] == "active"]
    deployed = project.done("deploy", "--yes", "--ami", active["ami"], "--image", active["image"])
    assert not deployed["changed"]
    assert deployed["pointer"] == status["pointer"]


def test_unproven_ami_is_not_deployed(project: Project) -> None:
    (base,) = {ami["base_ami"] for ami in project.done("ami", "ls")["amis"]}
    project.fails("ami-not-verified", 1, "deploy", "--yes", "--ami", base)


def test_state_folder_holds_no_crash_log(kept: KeptStage) -> None:
    assert list(Path(kept.folder).parents[1].glob("crash-*")) == []
