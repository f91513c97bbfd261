"""JSON documents of answers: whatever one holds, each answer is a row and nothing is an error."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration_pipeline.errors import SourceError
from calibration_pipeline.store.sources.sql.foreign import ForeignDatabase
from calibration_pipeline_tests.store.sources.exploration import examples
from calibration_pipeline_tests.store.sources.source_database import DAY, execute, owning, read
from calibration_pipeline_tests.store.sources.test_attempt import EXAM_RESULTS, attempts


@pytest.fixture(scope="module")
def exams_url(source_url: str) -> str:
    execute(source_url, *EXAM_RESULTS)
    return source_url


def exam(url: str, document: str, kind: str = "jsonb") -> list[dict[str, Any]]:
    """The rows of one exam's document in a column of a type."""
    with owning(url) as connection:
        connection.execute("TRUNCATE exam_results")
        connection.execute("ALTER TABLE exam_results ALTER result DROP DEFAULT")
        connection.execute(f"ALTER TABLE exam_results ALTER result TYPE {kind} USING NULL")
        connection.execute("INSERT INTO exam_results (result) VALUES (%s)", (document,))
    return read(attempts(url), *DAY)


def test_an_exam_is_a_session_at_its_documents_time(exams_url: str) -> None:
    answers = [
        {"question_id": "i1", "is_correct": True, "responded_at": "2026-02-01T08:00:00Z"},
        {"item_id": 2, "correct": "0", "time_on_task_ms": 1500},
    ]
    rows = exam(exams_url, json.dumps({"score": 3, "questions": answers}))
    common = {
        "session_id": "7",
        "candidate_id": "ann",
        "session_started_at": "2026-03-10 10:00:00+00",
        "dated_at": "2026-03-10 10:00:00+00",
    }
    first = {"item_id": "i1", "code": "true", "answered_at": "2026-02-01T08:00:00Z"}
    second = {"item_id": "2", "code": "0", "answered_at": "2026-03-10 10:00:00+00"}
    assert rows == [
        common | first | {"position": "1"},
        common | second | {"position": "2", "time_on_task_ms": "1500"},
    ]


@pytest.mark.parametrize("key", ["questions", "responses", "answers"])
@pytest.mark.parametrize("kind", ["jsonb", "json", "text"])
def test_where_the_answers_are(exams_url: str, key: str, kind: str) -> None:
    document = json.dumps({"questions": "none", key: [{"item_id": "i1"}, {"item_id": "i2"}]})
    assert [row["item_id"] for row in exam(exams_url, document, kind)] == ["i1", "i2"]


MALFORMED = {
    "a number": "17",
    "a text": '"[]"',
    "an object without answers": '{"questions": {"item_id": "i1"}}',
    "no JSON": "[{",
    "a NUL": '[{"item_id": "a\\u0000b"}]',
    "half a character": '[{"item_id": "\\ud800"}]',
    "a number out of range": '[{"item_id": 1e400000}]',
    "nested too deeply": "[" * 60_000 + "]" * 60_000,
    "objects nested too deeply": '{"a":' * 60_000 + "1" + "}" * 60_000,
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_document_that_cannot_be_read_is_one_malformed_answer(exams_url: str, what: str) -> None:
    (row,) = exam(exams_url, MALFORMED[what], "text")
    assert row["problem"] == "malformed_answer"
    assert (row["candidate_id"], row["session_id"]) == ("ann", "7")


@pytest.mark.parametrize("what", ["a NUL", "half a character", "a number out of range", "a text"])
def test_json_may_hold_what_jsonb_cannot(exams_url: str, what: str) -> None:
    (row,) = exam(exams_url, MALFORMED[what], "json")
    assert row["problem"] == "malformed_answer"


@pytest.mark.parametrize("document", ["null", "[]", '{"questions": []}'])
def test_a_document_without_answers_has_no_rows(exams_url: str, document: str) -> None:
    assert exam(exams_url, document) == exam(exams_url, document, "text") == []


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner),
    max_leaves=8,
)
ELEMENTS = st.one_of(
    JSON,
    st.fixed_dictionaries({}, optional={"item_id": JSON, "correct": JSON, "answered_at": JSON}),
)


@examples(25)
@given(elements=st.lists(ELEMENTS, max_size=6), kind=st.sampled_from(["json", "text"]))
def test_whatever_an_array_holds_each_element_is_a_row(
    exams_url: str, elements: list[Any], kind: str
) -> None:
    rows = exam(exams_url, json.dumps(elements), kind)
    assert [row["position"] for row in rows] == [str(n + 1) for n in range(len(elements))]
    for element, row in zip(elements, rows, strict=True):
        assert (row.get("problem") == "malformed_answer") == (not isinstance(element, dict))
        if isinstance(element, dict):
            assert ("item_id" in row) == (
                element.get("item_id") is not None or element.get("question_id") is not None
            )
            if isinstance(element.get("item_id"), str):
                assert row["item_id"] == element["item_id"]


def test_a_document_of_text_needs_a_server_that_can_test_it(
    exams_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ForeignDatabase, "server_version", 15)
    assert len(exam(exams_url, '[{"item_id": "i1"}]')) == 1
    with pytest.raises(SourceError, match="PostgreSQL 15 can't test JSON"):
        exam(exams_url, "[]", "text")
