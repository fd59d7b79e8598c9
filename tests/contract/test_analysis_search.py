"""`analyzer search` and `analyzer database`, over sessions that both kinds of store hold."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import psycopg
import pytest

from analyzer import cli
from analyzer.backends.appearance import AppearanceEmbedder
from analyzer.contract import Table
from analyzer.errors import ExitCode
from analyzer.schemas import search_schema
from analyzer.store.base import SegmentRows, Store, Work
from analyzer.store.folder import FolderStore
from analyzer.store.indexes import build_indexes
from analyzer.store.migrate import known_migrations
from analyzer.store.place import LocalPlace
from analyzer.store.postgres import PostgresStore
from analyzer.store.rows import canonical
from analyzer.store.search import cosines
from lifecycle.rehearsal.services.postgres import Postgres
from tests.contract.store_parts import segment_rows

SESSIONS = ("s-1", "s-2", "s-3")
TRACKS, DIMENSION = 40, 8
SPACE = "random-8"
# What sessions say of the model that made their vectors; the third says nothing.
MAKERS: dict[str, dict[str, Any]] = {
    "s-1": {"name": "appearance", "space": AppearanceEmbedder.space, "dimension": AppearanceEmbedder.dimension},
    "s-2": {"name": "random", "space": SPACE, "dimension": DIMENSION, "tower": {"sha256": "a" * 64}},
}


def picture_of(number: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Stripes at an angle of its own."""
    rows, columns = np.mgrid[:64, :48]
    wave = np.sin((rows * np.cos(number) + columns * np.sin(number)) / 3)
    return np.asarray((128 + 100 * wave[..., None] * np.array([1, 0.5, 0.2 * number])).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def rows() -> dict[str, SegmentRows]:
    """Tracks with random vectors, a scene that looks like the second track, and in the first session three pictures.

    In the third one a vector of another dimension is in the same space.
    """
    random = np.random.default_rng(5)
    track = segment_rows(0).rows[Table.TRACKS][0]
    made = {}
    for session_id in SESSIONS:
        vectors = random.normal(size=(TRACKS, DIMENSION))
        pictures = AppearanceEmbedder().embed([picture_of(number) for number in range(3)])
        made[session_id] = SegmentRows(
            segment=0,
            rows={
                Table.TRACKS: [{**track, "track": number, "first_ms": 61_500} for number in range(TRACKS)],
                Table.EMBEDDINGS: [
                    *(embedding(SPACE, "track", number, vector) for number, vector in enumerate(vectors)),
                    embedding(SPACE, "scene", 0, vectors[1] * 2),
                    embedding(SPACE, "scene", 1, np.zeros(DIMENSION)),
                    *([embedding(SPACE, "scene", 2, np.ones(DIMENSION + 1))] if session_id == "s-3" else []),
                    *(
                        embedding(AppearanceEmbedder.space, "track", number, vector)
                        for number, vector in enumerate(pictures)
                        if session_id == "s-1"
                    ),
                ],
            },
        )
    return made


def embedding(space: str, kind: str, ref: int, vector: np.ndarray[Any, Any]) -> dict[str, Any]:
    place = {"segment": 0, "space": space, "kind": kind, "ref": ref, "pts_ms": 3_723_400}
    return {**place, "dimension": len(vector), "v": vector}


@pytest.fixture(scope="module", params=["folders", pytest.param("database", marks=pytest.mark.rehearsal)])
def where(
    request: pytest.FixtureRequest, rows: dict[str, SegmentRows], tmp_path_factory: pytest.TempPathFactory
) -> list[str]:
    """The options that say where the three sessions are."""
    if request.param == "folders":
        base = tmp_path_factory.mktemp("sessions")
        for session_id in SESSIONS:
            put(FolderStore(LocalPlace(base / session_id)), session_id, rows[session_id])
        return [part for session_id in SESSIONS for part in ("--folder", str(base / session_id))]
    postgres: Postgres = request.getfixturevalue("postgres")
    name = f"search_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    url = postgres.dsn.rpartition("/")[0] + f"/{name}"
    assert cli.main(["database", "migrate", "--database", url]) == ExitCode.OK
    for session_id in SESSIONS:
        put(PostgresStore(url), session_id, rows[session_id])
    return ["--database", url]


def put(store: Store, session_id: str, rows: SegmentRows) -> None:
    request = {"backend": {"embedding": MAKERS[session_id]}} if session_id in MAKERS else {}
    store.claim(Work(session_id=session_id, fingerprint="f", video_url=f"s3://b/{session_id}.mp4", request=request))
    store.commit(rows)
    store.finish({"status": "succeeded"})
    store.close()


def search(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    capsys.readouterr()
    assert cli.main(["search", *options, "-o", "json"]) == ExitCode.OK
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, search_schema(), cls=jsonschema.Draft202012Validator)
    return document


def nearest(
    rows: dict[str, SegmentRows], like: tuple[str, str, int], sessions: Sequence[str], limit: int
) -> list[tuple[str, str, int]]:
    """By comparing with all of them, as they are stored."""
    stored = [
        ((session_id, kind, ref), np.asarray(v, np.float32))
        for session_id, one in rows.items()
        for _, space, kind, ref, _, _, v in canonical(one)[Table.EMBEDDINGS]
        if space == SPACE and len(v) == DIMENSION
    ]
    wanted = next(v for item, v in stored if item == like)
    alike = cosines(np.asarray([v for _, v in stored]), wanted)
    found = sorted((-each, item) for each, (item, _) in zip(alike, stored, strict=True) if np.isfinite(each))
    return [item for _, item in found if item != like and item[0] in sessions][:limit]


def items(document: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(hit["session_id"], hit["kind"], hit["ref"]) for hit in document["hits"]]


def test_nearest_are_those_of_a_whole_comparison(
    where: list[str], rows: dict[str, SegmentRows], capsys: pytest.CaptureFixture[str]
) -> None:
    everywhere = search(capsys, "--like", "s-2/7", "--space", SPACE, "--limit", "12", *where)
    assert items(everywhere) == nearest(rows, ("s-2", "track", 7), SESSIONS, 12)
    some = search(capsys, "--like", "s-2/scene/0", "--session", "s-2", "--session", "s-3", "--limit", "5", *where)
    assert items(some) == nearest(rows, ("s-2", "scene", 0), ("s-2", "s-3"), 5)
    assert some["hits"][0] == {
        "session_id": "s-2",
        "kind": "track",
        "ref": 1,
        "similarity": 1.0,
        "pts_ms": 3_723_400,
        "label": "person",
        "first_ms": 61_500,
        "last_ms": 1000,
        "video_url": "s3://b/s-2.mp4",
    }
    if where[0] == "--database":
        from analyzer.store.database import Database

        made = [
            each.dimension for each in build_indexes(Database(url=where[1]), min_rows=100) if each.verdict == "made"
        ]
        again = search(capsys, "--like", "s-2/7", "--limit", "12", *where)
        assert (made, items(again)) == ([DIMENSION], items(everywhere)), "along the index as without it"


def test_picture_finds_the_track_that_it_shows(
    where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), picture_of(2))
    for options in (["--session", "s-1"], ["--space", AppearanceEmbedder.space]):
        document = search(capsys, "--like", str(path), *options, *where)
        assert document["space"] == AppearanceEmbedder.space
        assert items(document)[0] == ("s-1", "track", 2)
        assert [hit["similarity"] > 0.999 for hit in document["hits"]] == [True, False, False]
    for options, code in (([], "space-open"), (["--session", "s-2"], "space-without-model")):
        assert cli.main(["search", "--like", str(path), *options, *where]) != ExitCode.OK
        assert capsys.readouterr().err.startswith(f"error[{code}]: ")


def test_text_is_a_table(where: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert cli.main(["search", "--like", "s-3/scene/0", "--limit", "2", *where]) == ExitCode.OK
    head, first, _ = capsys.readouterr().out.splitlines()
    assert head.split() == ["ALIKE", "SESSION", "WHAT", "AT", "SEEN", "VIDEO"]
    assert first.split() == ["1.000", "s-3", "track", "1", "1:02:03.4", "1:01.5-0:01.0", "s3://b/s-3.mp4"]


@pytest.mark.parametrize(
    ("options", "code", "exit_code"),
    [
        (["--like", "s-1/1"], "space-open", ExitCode.USAGE),
        (["--like", "s-1/1", "--space", "other"], "space-unknown", ExitCode.USAGE),
        (["--like", "s-1/99"], "item-unknown", ExitCode.USAGE),
        (["--like", "no/such/file.jpg"], "like-invalid", ExitCode.USAGE),
        (["--like", "s-1/1", "--limit", "0"], "limit-invalid", ExitCode.USAGE),
        (["--like", __file__], "picture-unreadable", ExitCode.INPUT),
    ],
)
def test_questions_without_an_answer_say_why(
    options: list[str], code: str, exit_code: ExitCode, where: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert cli.main(["search", *options, *where]) == exit_code
    assert capsys.readouterr().err.startswith(f"error[{code}]: ")


def test_nowhere_to_search_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert cli.main(["search", "--like", "s-1/1"]) == ExitCode.USAGE
    assert cli.main(["search", "--like", "s-1/1", "--folder", str(tmp_path)]) == ExitCode.INPUT
    errors = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in errors if line.startswith("error")] == [
        "error[nowhere-to-search]",
        "error[file-missing]",
    ]


@pytest.mark.parametrize("line", ["", "{", '{"session_id": "s-2"}'])
def test_damaged_job_in_one_of_several_folders_is_told_with_its_file(
    line: str, rows: dict[str, SegmentRows], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for session_id in ("s-1", "s-2"):
        put(FolderStore(LocalPlace(tmp_path / session_id)), session_id, rows[session_id])
    jobs = tmp_path / "s-2" / "analysis_jobs.jsonl"
    jobs.write_text(line)
    where = [part for session_id in ("s-1", "s-2") for part in ("--folder", str(tmp_path / session_id))]
    assert cli.main(["search", "--like", "s-1/7", "--space", SPACE, *where]) == ExitCode.MISMATCH
    assert capsys.readouterr().err.startswith(f"error[table-damaged]: `{jobs}` is damaged: ")


@pytest.mark.rehearsal
def test_database_commands_say_what_they_did(postgres: Postgres, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"operated_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    url = postgres.dsn.rpartition("/")[0] + f"/{name}"

    def told(*options: str) -> str:
        assert cli.main(["database", *options, "--database", url]) == ExitCode.OK
        return capsys.readouterr().out

    migrations = known_migrations()
    applied = "".join(f"applied  {each.number:04}-{each.name}\n" for each in migrations)
    assert told("migrate") == f"{applied}The tables have version {migrations[-1].number}\n"
    assert told("migrate") == "Nothing to do: the tables are as new as this analyzer\n"
    assert json.loads(told("migrate", "-o", "json"))["applied"] == []
    assert told("index") == "Nothing to do: no embeddings are stored\n"
    put(
        PostgresStore(url),
        "s-1",
        SegmentRows(segment=0, rows={Table.EMBEDDINGS: [embedding("a", "track", 0, np.ones(3))]}),
    )
    assert told("index") == "a  3 dimensions: too few rows\n"
    assert told("index", "--min-rows", "1") == "a  3 dimensions: made\n"
    (space,) = json.loads(told("index", "--min-rows", "1", "-o", "json"))["spaces"]
    assert space == {"space": "a", "dimension": 3, "rows": None, "verdict": "present"}
