"""What messages ask for: events of S3, documents of our own, and what is neither."""

from __future__ import annotations

from urllib.parse import quote_plus

import pytest

from analyzer import worker
from analyzer.contract import ExitCode, JobRequest, SampleMode, Table
from analyzer.errors import InputUnreadable, RequestInvalid
from analyzer.submission import request_of, requests_of
from tests.unit.analyzer.queue_parts import ENVIRONMENT, Bench, Queue, event


def test_an_s3_event_is_one_job_per_object_with_a_session_of_its_content() -> None:
    first, second = requests_of(event("in/a+b%2B%C3%A9.mp4", "c.mp4"), ENVIRONMENT).requests
    assert (first.video.bucket, first.video.key) == ("videos", "in/a b+é.mp4")
    assert first.session_id != second.session_id
    again, _ = requests_of(event("in/a+b%2B%C3%A9.mp4", "c.mp4"), ENVIRONMENT).requests
    assert again.session_id == first.session_id
    (other,) = requests_of(event("in/a+b%2B%C3%A9.mp4", version="v2"), ENVIRONMENT).requests
    assert other.session_id != first.session_id
    assert (first.video.version, other.video.version) == (None, "v2")
    assert first.video.url == other.video.url
    assert first.result is not None
    assert first.result.url == f"s3://results/all/{first.session_id}"


@pytest.mark.parametrize(
    "body", ['{"Event": "s3:TestEvent"}', '{"Records": []}', event("a", name="ObjectRemoved:Delete")]
)
def test_messages_that_ask_for_nothing_are_deleted(body: str) -> None:
    bench = Bench(Queue().send(body))
    assert bench.work() == ExitCode.OK
    assert (bench.ran, bench.queue.said) == ([], [("delete", "m0")])


OWN = ["s/result.json", "s/work/attempt.json", "s/work/segments/00000000.000001.json.gz", "s/thumbnails/track-1.jpg"]


@pytest.mark.parametrize("root", ["s3://videos", "s3://videos/", "s3://videos/all/", "s3://videos//all/é"])
def test_what_the_service_itself_writes_into_the_bucket_is_no_job(root: str) -> None:
    prefix = root.removeprefix("s3://videos").strip("/")
    keys = [f"{prefix}/{name}".strip("/") for name in (*OWN, *(f"s/{table}.jsonl" for table in Table))]
    videos = ["result.json", f"{prefix}/in/clip.mp4".strip("/"), "a/b/s/result.json"]
    body = event(*map(quote_plus, [*keys, *videos]))
    bench = Bench(Queue().send(body), environment={**ENVIRONMENT, "RESULT_URL": root})
    assert bench.work() == ExitCode.OK
    assert [each.video.key for each in bench.ran] == videos
    assert [each["objects"] for each in bench.events if each["event"] == "own-results"] == [len(keys)]
    assert bench.queue.said == [("delete", "m0")]
    assert requests_of(body, {"RESULT_URL": "s3://elsewhere"}).own_results == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "message-unreadable"),
        ("[" * 100_000, "message-unreadable"),
        ("[]", "message-unreadable"),
        ('{"Records": [{"eventName": "ObjectCreated:Put"}]}', "message-unreadable"),
        (event("%FF"), "message-unreadable"),
        (event("a\ud800.mp4"), "text-invalid"),
        ('{"video_url": "s3://v/\\ud800.mp4"}', "text-invalid"),
        ('{"video_url": "s3://v/a", "caption_prompt": "a\\u0000"}', "text-invalid"),
        ('{"video_url": "s3://v/a", "\\udfff": 1}', "text-invalid"),
        ("{}", "variable-missing"),
        ('{"video_url": "s3://v/a", "database_url": "postgresql://x"}', "field-unknown"),
        ('{"video_url": "s3://v/a", "sample_fps": true}', "field-invalid"),
        ('{"video_url": "s3://v/a", "session_id": "../x"}', "session-id-invalid"),
        ('{"video_url": "http://169.254.169.254/"}', "location-invalid"),
    ],
)
def test_what_is_no_request_is_poison_at_once(body: str, code: str) -> None:
    bench = Bench(Queue().send(body))
    assert bench.work() == ExitCode.USAGE
    assert [why.code for _, why in bench.queue.buried] == [code]


def test_one_bad_object_of_an_event_does_not_keep_the_others_from_being_done() -> None:
    def job(request: JobRequest, *_: object) -> None:
        if request.video.key == "b":
            raise InputUnreadable("no-video", "x")

    bench = Bench(Queue().send(event("a", "b", "c")), job)
    assert bench.work() == ExitCode.INPUT
    assert [each.video.key for each in bench.ran] == ["a", "b", "c"]
    assert bench.queue.buried[0][1].code == "no-video"


def test_a_job_whose_rows_would_go_nowhere_is_refused() -> None:
    with pytest.raises(RequestInvalid, match="neither RESULT_URL nor DATABASE_URL"):
        request_of({"video_url": "s3://v/a"}, {})
    request = request_of({"video_url": "s3://v/a", "sample_mode": "scene"}, {"DATABASE_URL": "postgresql://x"})
    assert (request.sample_mode, request.result) == (SampleMode.SCENE, None)


def test_a_message_that_no_parser_foresaw_is_poison_and_does_not_end_the_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unforeseen(*_: object) -> None:
        raise UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates not allowed")

    monkeypatch.setattr(worker, "requests_of", unforeseen)
    bench = Bench(Queue().send("{}").send("{}"), once=False, idle_exit_s=1)
    assert bench.work() == ExitCode.OK
    assert [why.code for _, why in bench.queue.buried] == ["bug", "bug"]
