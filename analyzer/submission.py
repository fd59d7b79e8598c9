"""What queues and HTTP clients ask for, as requests: a few fields of their own, everything else as the service's environment says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote_plus

from analyzer.contract import Env, JobRequest, Location
from analyzer.errors import RequestInvalid
from analyzer.published import is_own

# Models, credentials and the database are the service's: who sends a document does not choose them.
FIELDS = {
    str(name).lower(): name
    for name in (
        Env.VIDEO_URL,
        Env.SESSION_ID,
        Env.RESULT_URL,
        Env.SAMPLE_MODE,
        Env.SAMPLE_FPS,
        Env.CAPTION_PROMPT,
    )
}
_ID_DIGITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a message asks for; `own_results` counts its objects that this service wrote itself, which are no jobs."""

    requests: list[JobRequest]
    own_results: int = 0


def request_of(document: Mapping[str, Any], environment: Mapping[str, str]) -> JobRequest:
    """The job that `document` asks for, whose fields are `FIELDS`.

    Without a `session_id` the video's address gives it; without a `result_url` the result goes into a folder of that name below the
    service's `RESULT_URL`. Raises: RequestInvalid, naming the field.
    """
    _require_encodable(document)
    unknown = sorted(set(document) - set(FIELDS))
    if unknown:
        known = ", ".join(f"`{each}`" for each in FIELDS)
        raise RequestInvalid("field-unknown", f"`{str(unknown[0])[:40]}` is no field", hint=f"Fields are {known}")
    own: dict[str, str] = {FIELDS[name]: _text(name, value) for name, value in document.items() if value is not None}
    own.setdefault(Env.SESSION_ID, session_of("v", own.get(Env.VIDEO_URL, "")))
    if not own.get(Env.RESULT_URL) and (root := environment.get(Env.RESULT_URL, "").strip()):
        own[Env.RESULT_URL] = f"{root.rstrip('/')}/{own[Env.SESSION_ID]}"
    # What names one job comes from the document alone, and how to look at it may come from the service.
    nothing: dict[str, str] = dict.fromkeys((Env.VIDEO_URL, Env.SESSION_ID, Env.RESULT_URL), "")
    request = JobRequest.from_environment({**environment, **nothing, **own}, naming=lambda name: f"`{name.lower()}`")
    if request.result is None and request.database_url is None:
        raise RequestInvalid(
            "result-nowhere",
            "The job names no `result_url`, and the service has neither RESULT_URL nor DATABASE_URL",
            hint="Give the service one of them: what is not stored cannot be gone on with",
        )
    return request


def requests_of(body: str, environment: Mapping[str, str]) -> Asked:
    """The jobs that a message asks for: an S3 event's, one per object that was created, or that of a JSON document of `FIELDS`.

    None for the test message that S3 sends when a notification is configured, and for events that create nothing. What the service
    itself writes below its `RESULT_URL` is no video: as a job it would fail, write again, and so ask for the next.
    Raises: RequestInvalid.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _unreadable(f"no JSON: {error}") from error
    if not isinstance(document, dict):
        raise _unreadable("no JSON object")
    if document.get("Event") == "s3:TestEvent":
        return Asked(requests=[])
    if "Records" not in document:
        return Asked(requests=[request_of(document, environment)])
    records = document["Records"]
    if not isinstance(records, list):
        raise _unreadable("an event whose `Records` are no list")
    _require_encodable(records)
    root = environment.get(Env.RESULT_URL, "").strip()
    results = Location.parse(root, name=f"`{Env.RESULT_URL}`") if root else None
    found = [_announced(document, version, environment) for document, version in _created(records)]
    jobs = [each for each in found if results is None or not is_own(each.video, results)]
    return Asked(requests=jobs, own_results=len(found) - len(jobs))


def session_of(kind: str, *parts: str) -> str:
    """An id that is the same for the same parts, and as good as never for others."""
    return f"{kind}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:_ID_DIGITS]}"


def _announced(document: Mapping[str, str], version: str | None, environment: Mapping[str, str]) -> JobRequest:
    request = request_of(document, environment)
    return replace(request, video=replace(request.video, version=version))


def _created(records: Sequence[Any]) -> list[tuple[dict[str, str], str | None]]:
    """The document of each object that was created, and its version where the bucket keeps versions."""
    found = []
    for record in records:
        try:
            if not str(record["eventName"]).removeprefix("s3:").startswith("ObjectCreated:"):
                continue
            bucket, entry = str(record["s3"]["bucket"]["name"]), record["s3"]["object"]
            # Keys in events are encoded as in a form: `+` is a blank.
            key = unquote_plus(str(entry["key"]), errors="strict")
            version = str(entry["versionId"]) if entry.get("versionId") else None
            content = version or str(entry["eTag"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise _unreadable(f"an S3 event without {error}") from error
        document = {"video_url": f"s3://{bucket}/{key}", "session_id": session_of("s3", bucket, key, content)}
        found.append((document, version))
    return found


def _require_encodable(value: Any) -> None:
    """Raises: RequestInvalid, for a text, as a key or value at any depth, that no store, queue or log can take."""
    rest = [value]
    while rest:
        each = rest.pop()
        if isinstance(each, Mapping):
            rest += [*each.keys(), *each.values()]
        elif isinstance(each, list):
            rest += each
        # Half of a pair of surrogates is no character, and PostgreSQL takes no NUL.
        elif isinstance(each, str) and any(sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in each):
            what = "A text holds a NUL, or half a character (a lone surrogate)"
            raise RequestInvalid("text-invalid", what, hint="Send texts of whole Unicode characters")


def _text(name: str, value: Any) -> str:
    # A truth value is a number to Python, and a mistake to everybody else.
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RequestInvalid("field-invalid", f"`{name}` is no text or number")
    return str(value)


def _unreadable(what: str) -> RequestInvalid:
    hint = "Send an S3 event notification, or a JSON object with `video_url`"
    return RequestInvalid("message-unreadable", f"The message is {what}", hint=hint)
