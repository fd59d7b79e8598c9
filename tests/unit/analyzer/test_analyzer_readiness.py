"""What the HTTP door says of itself: whether it lives, serves, and can store what it finds."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="`requirements/analyzer-serve.in` is not installed")
pytest.importorskip("uvicorn", reason="`requirements/analyzer-serve.in` is not installed")

from analyzer.errors import DependencyDown, Mismatch
from analyzer.schemas import analysis_schema
from analyzer.server.listen import store_look
from analyzer.server.readiness import Readiness
from tests.unit.analyzer.server_door import SOON_S, Door, error_of


def test_health_readiness_metrics_and_the_interface_itself(tmp_path: Path) -> None:
    door = Door(tmp_path)
    assert door.call("GET", "/healthz").status == 200
    assert error_of(door.call("GET", "/readyz")) == (503, "models-not-loaded")
    door.ready.set()
    for _ in range(2000):
        if door.analyses.is_loaded:
            break
        threading.Event().wait(0.005)
    assert door.call("GET", "/readyz").status == 200
    door.store_fault, door.now_s = DependencyDown("database-down", "x"), 6
    assert error_of(door.call("GET", "/readyz")) == (503, "database-down")
    metrics = door.call("GET", "/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in ("segments_committed_total 0.0", "analyses_running 0.0", 'analyses_ended_total{outcome="failed"} 0.0'):
        assert f"analyzer_{line}\n" in metrics.body.decode()
    assert error_of(door.call("GET", "/v1/analyses/never")) == (404, "analysis-unknown")
    assert error_of(door.call("DELETE", "/v1/analyses/never")) == (404, "analysis-unknown")
    document = door.call("GET", "/openapi.json").json
    assert set(document["paths"]) == {
        "/v1/analyses", "/v1/analyses/{id}", "/v1/analyses/{id}/result", "/healthz", "/readyz", "/metrics"
    }  # fmt: skip
    assert {door.call("GET", path).status for path in ("/docs", "/redoc")} == {404}
    text = json.dumps(document)
    assert "422" not in text
    assert "HTTPValidationError" not in text
    listed = document["paths"]["/v1/analyses"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert listed == {"$ref": "#/components/schemas/AnalysesAnswer"}
    responses = document["paths"]["/v1/analyses"]["post"]["responses"]
    assert {responses[status]["content"]["application/json"]["schema"]["$ref"] for status in ("400", "default")} == {
        "#/components/schemas/FaultAnswer"
    }
    result = document["paths"]["/v1/analyses/{id}/result"]["get"]["responses"]["200"]
    assert result["content"]["application/json"]["schema"] == analysis_schema()
    assert not door.analyses.close(SOON_S)


def test_readiness_looks_at_the_store_once_in_a_few_seconds_whatever_it_finds(tmp_path: Path) -> None:
    now_s, results, looked = [0.0], tmp_path / "results", []
    look = store_look({"RESULT_URL": str(results)})
    readiness = Readiness(lambda: (looked.append(1), look())[1], clock=lambda: now_s[0])
    asyncio.run(readiness.check())
    results.write_text("no folder")
    asyncio.run(readiness.check())
    now_s[0] = 6
    for _ in range(2):
        with pytest.raises(Mismatch, match="results"):
            asyncio.run(readiness.check())
    assert len(looked) == 2


def test_a_store_that_says_nothing_is_asked_once_and_waited_for_briefly() -> None:
    answers, looked = threading.Event(), threading.Semaphore(0)

    def look() -> None:
        looked.release()
        assert answers.wait(SOON_S)

    async def many() -> list[BaseException | None]:
        return list(await asyncio.gather(*[readiness.check() for _ in range(45)], return_exceptions=True))

    readiness = Readiness(look, patience_s=0.01)
    assert {getattr(each, "code", each) for each in asyncio.run(many())} == {"store-slow"}
    answers.set()
    readiness = Readiness(look, patience_s=SOON_S)
    assert set(asyncio.run(many())) == {None}
    assert sum(looked.acquire(blocking=False) for _ in range(9)) == 2
