"""The documents of `-o json` are a contract: a change of one changes a file here, and its version if it takes something away."""

import ast
import inspect
import json
from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.cli import documents, job_documents
from lifecycle.errors import CapctlError
from tests.dev.documents import commands_by_schema, makers
from tests.dev.samples import SAMPLES
from tests.golden import FOLDER, assert_golden

# Their documents are made where their results are.
ELSEWHERE = {"init", "rehearsal", "rehearsal-down"}
EVERYWHERE = {"error", "plan"}


@pytest.mark.parametrize("name", SAMPLES)
def test_document_has_the_fields_that_were_promised(name: str) -> None:
    document = {"schema": f"capctl.{name}/1", **SAMPLES[name]}
    assert_golden(f"json/{name}.json", json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def test_every_schema_that_a_command_names_has_its_function_and_its_sample() -> None:
    assert makers().keys() == SAMPLES.keys()
    assert commands_by_schema().keys() | EVERYWHERE == SAMPLES.keys() | ELSEWHERE
    assert {path.stem for path in (FOLDER / "json").iterdir()} == SAMPLES.keys()


def test_no_document_is_made_from_all_fields_of_a_class() -> None:
    package = Path(inspect.getfile(documents)).parents[1]
    for path in (*(package / "cli").glob("*.py"), *(package / "workflows").glob("*.py")):
        names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        assert "asdict" not in names, path


def test_error_leaves_out_evidence_that_has_no_document() -> None:
    failure = CapctlError("broken", "It broke", evidence={"weather": object()})
    assert documents.error(failure)["evidence"] == {}


def test_what_did_not_happen_yet_has_no_time() -> None:
    from tests.dev.samples.releases import JOB

    document = job_documents.job(replace(JOB, created_ms=0))
    assert (document["created"], document["stopped"]) == (None, None)
