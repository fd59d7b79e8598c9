"""The HTTP interface of `Analyses`: routes, status codes and shapes; nothing here knows how a video is analysed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from analyzer.contract import RESULT_NAME, ExitCode, Location
from analyzer.errors import AnalyzerError
from analyzer.exposition import CONTENT_TYPE, exposition
from analyzer.failure import failure_of
from analyzer.metrics import Metrics
from analyzer.schemas import analysis_schema
from analyzer.server.analyses import (
    ENDED,
    REMEMBERED_MAX,
    WITH_RESULT,
    Analyses,
    HasResult,
    InUse,
    PlaceInUse,
    QueueFull,
)
from analyzer.server.blocking import Reader
from analyzer.server.ending import AnswersWhenCancelled
from analyzer.server.limits import BodyLimit, fault
from analyzer.server.paths import allowed
from analyzer.server.readiness import Readiness
from analyzer.server.shapes import AnalysesAnswer, AnalysisAnswer, FaultAnswer, Submission
from analyzer.store.place import place_at
from analyzer.submission import request_of

ANALYSES = "/v1/analyses"
# So many are listed where nobody says how many.
LISTED = 100
_STATUS = {ExitCode.USAGE: 400, ExitCode.INPUT: 404, ExitCode.BUG: 500}
# What the framework refuses by itself.
_REFUSALS = {404: ("route-unknown", "There is nothing here"), 405: ("method-not-allowed", "This is not done here")}


def make_app(
    analyses: Analyses,
    metrics: Metrics,
    *,
    environment: Mapping[str, str],
    allow_path: Path | None,
    readiness: Readiness,
) -> FastAPI:
    """`readiness` looks at the store of the rows; `environment` says everything about a job that its client does not."""
    app = FastAPI(
        title="analyzer",
        version="1",
        description="People in videos, with age and gender per track",
        # The pages would load scripts of others.
        docs_url=None,
        redoc_url=None,
        # What may befall any request; without it the framework declares a 422 that is never sent.
        responses={"default": {"model": FaultAnswer, "description": "Refused or failed"}},
    )
    routes = _Routes(analyses, metrics, environment, allow_path, readiness)
    known = _faults(404)
    one = f"{ANALYSES}/{{id}}"
    app.add_api_route(
        ANALYSES,
        routes.submit,
        methods=["POST"],
        status_code=202,
        response_model=AnalysisAnswer,
        responses=_faults(400, 409, 413, 429),
    )
    app.add_api_route(ANALYSES, routes.list, methods=["GET"], response_model=AnalysesAnswer, responses=_faults(400))
    app.add_api_route(one, routes.show, methods=["GET"], response_model=AnalysisAnswer, responses=known)
    app.add_api_route(
        f"{one}/result",
        routes.result,
        methods=["GET"],
        response_class=StreamingResponse,
        responses={**_faults(404, 409), 200: {"content": {"application/json": {"schema": analysis_schema()}}}},
    )
    app.add_api_route(
        one,
        routes.cancel,
        methods=["DELETE"],
        response_model=AnalysisAnswer,
        response_description="It has ended: cancelled before it began, or earlier",
        responses={**known, 202: {"model": AnalysisAnswer, "description": "It ends at its next safe point"}},
    )
    app.add_api_route("/healthz", routes.live, methods=["GET"])
    app.add_api_route("/readyz", routes.ready, methods=["GET"], responses=_faults(503))
    app.add_api_route("/metrics", routes.show_metrics, methods=["GET"], response_class=PlainTextResponse)
    app.add_exception_handler(AnalyzerError, _analyzer_error)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _crashed)
    app.add_middleware(BodyLimit)
    app.add_middleware(AnswersWhenCancelled)
    return app


def _faults(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": FaultAnswer} for status in statuses}


class _Routes:
    """One method per route. Plain ones wait for a lock at most; what may block for long does so in a thread of its own."""

    def __init__(
        self,
        analyses: Analyses,
        metrics: Metrics,
        environment: Mapping[str, str],
        allow_path: Path | None,
        readiness: Readiness,
    ) -> None:
        self._analyses, self._metrics, self._environment = analyses, metrics, environment
        self._allow_path, self._readiness = allow_path, readiness
        self._reader = Reader()

    def submit(self, submission: Submission) -> Response:
        fields = submission.model_dump(exclude_none=True)
        request = request_of(fields, self._environment)
        request = allowed(request, self._allow_path, own_result=not fields.get("result_url"))
        if request.result is None:
            return fault(400, "result-nowhere", "The job names no `result_url`", "Start the server with `--results`")
        try:
            document = self._analyses.submit(request)
        except QueueFull as error:
            what = "As many analyses wait as this server takes"
            return fault(429, "queue-full", what, "Ask again later", {"Retry-After": str(error.retry_s)})
        except InUse:
            what = f"The session `{request.session_id}` is being worked on with another request"
            return fault(409, "session-in-use", what, "Wait for its end, cancel it, or choose another `session_id`")
        except HasResult:
            what = f"The session `{request.session_id}` has the result of another request"
            return fault(409, "session-has-result", what, "Choose another `session_id`")
        except PlaceInUse as error:
            what = f"The result would go where that of the analysis `{error.holder}` goes"
            return fault(409, "result-in-use", what, "Choose another `result_url`, or leave it out")
        return JSONResponse(document, status_code=202, headers={"Location": f"{ANALYSES}/{request.session_id}"})

    def list(self, limit: Annotated[int, Query(ge=1, le=REMEMBERED_MAX)] = LISTED) -> Response:
        return JSONResponse(self._analyses.newest(limit))

    def show(self, id: str) -> Response:
        found = self._analyses.get(id)
        return JSONResponse(found[1]) if found else _unknown(id)

    async def result(self, id: str) -> Response:
        found = self._analyses.get(id)
        if found is None:
            return _unknown(id)
        request, document = found
        if document["status"] not in WITH_RESULT:
            what = f"The analysis `{id}` is {document['status']} and has no result"
            return fault(409, "result-absent", what, f"Ask {ANALYSES}/{id} how it stands")
        assert request.result is not None
        chunks = _chunks(request.result)
        # The first piece is read now: a place that does not serve is an answer of its own, not a broken one.
        first = await self._reader.next(chunks)
        return StreamingResponse(self._reader.rest(first, chunks), media_type="application/json")

    def cancel(self, id: str) -> Response:
        document = self._analyses.cancel(id)
        if document is None:
            return _unknown(id)
        return JSONResponse(document, status_code=200 if document["status"] in ENDED else 202)

    async def live(self) -> Response:
        return JSONResponse({"status": "live"})

    async def ready(self) -> Response:
        if not self._analyses.is_loaded:
            return fault(503, "models-not-loaded", "The models are being loaded", "Ask again in a few seconds")
        await self._readiness.check()
        return JSONResponse({"status": "ready"})

    def show_metrics(self) -> Response:
        readings = [*self._analyses.readings(), *self._metrics.readings()]
        return PlainTextResponse(exposition(readings), media_type=CONTENT_TYPE)


def _chunks(place: Location) -> Iterator[bytes]:
    # A generator, so that the place is not even opened before the first step.
    yield from place_at(place).chunks(RESULT_NAME)


def _unknown(session_id: str) -> Response:
    what = f"No analysis `{session_id[:140]}` is known here"
    return fault(404, "analysis-unknown", what, f"Submit it to {ANALYSES}; what was stored is found again")


async def _analyzer_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, AnalyzerError)
    return fault(_STATUS.get(error.exit_code, 503), error.code, error.message, error.hint)


async def _malformed(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    inside = first["loc"][1:]
    if first["loc"][0] == "query":
        return fault(400, "query-invalid", f"`{inside[0]}`: {first['msg']}", "See /openapi.json")
    if isinstance(error.body, bytes):
        # The framework takes for JSON only what is called so.
        what, hint = (
            "The body came under another content type than that of JSON",
            "Send `Content-Type: application/json`",
        )
    elif first["type"] == "json_invalid":
        what, hint = f"The body is not JSON, at character {inside[0]}", "Send one JSON object; see /openapi.json"
    else:
        place = f"`{'.'.join(str(each) for each in inside)}`" if inside else "The body"
        what, hint = f"{place}: {first['msg']}", "See /openapi.json"
    return fault(400, "body-invalid", what, hint)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, message = _REFUSALS.get(error.status_code, ("request-refused", error.detail))
    return fault(error.status_code, code, message, "See /openapi.json", error.headers)


async def _crashed(_: Request, error: Exception) -> Response:
    failure = failure_of(error)
    return fault(500, failure.code, failure.message, failure.hint)
