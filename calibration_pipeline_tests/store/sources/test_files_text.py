"""What becomes of the values of CSV and Parquet files, and which files can't be read."""

import gzip
import math
import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from calibration_pipeline.errors import SourceError
from calibration_pipeline.store.sources.files.checksum import row_checksums
from calibration_pipeline.store.sources.files.columns import accepted_names, find_columns
from calibration_pipeline.store.sources.files.folder import list_files
from calibration_pipeline.store.sources.files.text import read_columns, read_text, text_of
from calibration_pipeline.store.sources.raw import RAW_SCHEMA

NOON = "2026-03-10T12:00:00+00:00"
CSV = f"candidate_id,item_id,is_correct,answered_at\nann,i1,1,{NOON}\nbob,i2,0,{NOON}\n"
ACCEPTED = accepted_names({})
MOMENT = datetime(2026, 3, 10, 12, 0, 0, 123456, UTC)


def texts(path: Path, accepted: Any = ACCEPTED) -> pa.Table:
    (file,) = list_files(path).files
    blocks = list(read_text(file, read_columns(file, accepted)))
    return pa.concat_tables(blocks) if blocks else RAW_SCHEMA.empty_table()


def refusal(path: Path, accepted: Any = ACCEPTED) -> str:
    with pytest.raises(SourceError) as caught:
        texts(path, accepted)
    message = str(caught.value)
    assert path.name in message
    assert len(message.splitlines()) == 1
    assert "ann" not in message
    return message


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["x", "", None, "é"]), ["x", "", None, "é"]),
        (pa.array(["x", None], pa.large_string()), ["x", None]),
        (pa.array(["x", None], pa.string_view()), ["x", None]),
        (pa.array(["x", "y", "x", None]).dictionary_encode(), ["x", "y", "x", None]),
        (pa.array([1.0, 0.1, 1e20, None, math.nan]), ["1.0", "0.1", "1e+20", None, None]),
        (pa.array([1.0, 0.1, None], pa.float32()), ["1.0", "0.1", None]),
        (pa.array([2**63, None], pa.uint64()), ["9223372036854775808", None]),
        (pa.array([True, False, None]), ["true", "false", None]),
        (pa.array([Decimal("1.50"), None]), ["1.50", None]),
        (pa.array([date(2026, 3, 10), None]), ["2026-03-10", None]),
        (pa.array([time(8, 30)]), ["08:30:00.000000"]),
        (pa.array([b"x", None]), ["x", None]),
        (pa.array([b"xy", None], pa.binary(2)), ["xy", None]),
        (pa.array([None, None]), [None, None]),
        (
            pa.array([uuid.UUID(int=7).bytes, None], pa.uuid()),
            ["00000000-0000-0000-0000-000000000007", None],
        ),
        (
            pa.array([MOMENT, None], pa.timestamp("us", "Europe/Zurich")),
            ["2026-03-10 12:00:00.123456Z", None],
        ),
        (pa.array([MOMENT], pa.timestamp("ns", "-05:00")), ["2026-03-10 12:00:00.123456Z"]),
        (pa.array([MOMENT.replace(microsecond=0)], pa.timestamp("s")), ["2026-03-10 12:00:00"]),
        (pa.array([MOMENT.replace(tzinfo=None)]), ["2026-03-10 12:00:00.123456"]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_simple_types_become_text(column: Any, expected: list[str | None]) -> None:
    found = text_of(column)
    assert found.type == pa.string()
    assert found.to_pylist() == expected


def test_a_parquet_file_of_many_batches(tmp_path: Path) -> None:
    n_rows = 150_000
    table = pa.table(
        {
            "unused": pa.nulls(n_rows),
            "student_id": np.arange(n_rows),
            "item_id": pa.array(["i1", "i2"] * (n_rows // 2)).dictionary_encode(),
            "correct": [True] * n_rows,
            "answered_at": pa.array([MOMENT] * n_rows, pa.timestamp("ms", "UTC")),
        }
    )
    pa.parquet.write_table(table, tmp_path / "a.pq", row_group_size=40_000)
    found = texts(tmp_path / "a.pq")
    assert found.schema == RAW_SCHEMA
    assert found["candidate_id"].to_pylist() == [str(n) for n in range(n_rows)]
    assert set(found["code"].to_pylist()) == {"true"}
    assert set(found["answered_at"].to_pylist()) == {"2026-03-10 12:00:00.123Z"}
    assert found["session_id"].null_count == n_rows


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", CSV.encode()),
        ("a.CSV", b"\xef\xbb\xbf" + CSV.replace("\n", "\r\n").encode()),
        ("a.csv.gz", gzip.compress(CSV.encode())),
        ("a.tsv", CSV.replace(",", "\t").encode()),
        ("a.tsv.gz", gzip.compress(CSV.replace(",", "\t").encode()[:-1])),
        ("a.csv.gz", b"".join(map(gzip.compress, CSV.encode().splitlines(keepends=True)))),
    ],
    ids=["plain", "spelt as Windows does", "gzip", "tabs", "gzip of tabs", "gzip in parts"],
)
def test_kinds_of_csv(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert texts(tmp_path / name)["candidate_id"].to_pylist() == ["ann", "bob"]
    assert texts(tmp_path)["code"].to_pylist() == ["1", "0"]


def test_csv_values_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    values = ["007", " x ", "NULL", '"a,b"', '"two\nlines"', '"said ""so"""', "", '""']
    rows = "".join(f"ann,{value},1,{NOON}\n" for value in values)
    path.write_text(f"candidate_id,item_id,is_correct,answered_at\n{rows}")
    found = texts(path)["item_id"].to_pylist()
    assert found == ["007", " x ", "NULL", "a,b", "two\nlines", 'said "so"', None, None]


def test_line_ends_in_values_of_a_csv_file_of_many_blocks(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    lines = "line\n" * 9
    row = f'ann,"{lines}",1,{NOON}\n'
    path.write_text(CSV.splitlines()[0] + "\n" + row * 60_000)
    found = texts(path)["item_id"]
    assert found.num_chunks > 1
    assert found.value_counts().to_pylist() == [{"values": lines, "counts": 60_000}]


def test_a_file_with_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV.splitlines()[0] + "\n")
    assert texts(tmp_path).num_rows == 0


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", b"", "Empty CSV"),
        ("a.csv", CSV.encode()[:-30], "Expected 4 columns, got 2"),
        ("a.csv", CSV.encode() + b"ann,i1,1,2026,more\n", "Expected 4 columns, got 5"),
        ("a.csv", CSV.replace("bob", "zoë").encode("latin-1"), "invalid UTF8"),
        ("a.csv", CSV.encode("utf-16"), ""),
        ("a.csv", b"\xff," + CSV.encode(), ""),
        ("a.csv", CSV.encode() + b'"' + b"x" * 20_000_000, "straddl"),
        ("a.csv.gz", gzip.compress(CSV.encode() * 999)[:-20], "Truncated"),
        ("a.csv.gz", CSV.encode(), "incorrect header"),
        ("a.parquet", b"", "0 bytes"),
        ("a.parquet", CSV.encode() * 9, "magic bytes"),
    ],
    ids=[
        "empty",
        "cut",
        "a value too many",
        "Latin-1",
        "UTF-16",
        "bytes that are no text",
        "an endless value",
        "gzip, cut",
        "no gzip",
        "empty Parquet",
        "no Parquet",
    ],
)
def test_damaged_files_are_refused(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert expected in refusal(tmp_path / name)


def test_damaged_parquet_files_are_refused(tmp_path: Path) -> None:
    """Cut anywhere, or with any of its bytes turned round: read as text or refused."""
    path = tmp_path / "a.parquet"
    columns = {"candidate_id": ["ann"] * 99, "item_id": ["i1"] * 99, "is_correct": [1] * 99}
    pa.parquet.write_table(pa.table({**columns, "answered_at": [MOMENT] * 99}), path)
    whole = path.read_bytes()
    for end in range(0, len(whole), 97):
        path.write_bytes(whole[:end])
        refusal(path)
    for place in range(0, len(whole), 61):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            texts(path)
        except SourceError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017 - only some are refused


def test_text_that_is_not_utf8_and_nested_values_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    columns: dict[str, Any] = {"candidate_id": ["x"], "item_id": ["i1"], "is_correct": [1]}
    pa.parquet.write_table(pa.table({**columns, "answered_at": [[NOON]]}), path)
    assert "list<" in refusal(path)
    letters = pa.array([b"\xff\xfe"])
    bad = pa.Array.from_buffers(pa.string(), 1, letters.buffers())
    for item_id in (letters, bad, bad.dictionary_encode()):
        pa.parquet.write_table(
            pa.table({**columns, "item_id": item_id, "answered_at": [NOON]}), path
        )
        assert "UTF8" in refusal(path)


def test_names_of_columns() -> None:
    found = find_columns("a.csv", ["person_id", "item_id", "score", "answered_at", "x"], ACCEPTED)
    assert found == {
        "candidate_id": "person_id", "item_id": "item_id", "code": "score",
        "answered_at": "answered_at",
    }  # fmt: skip
    own = accepted_names({"files.candidate_id": "learner", "files.is_correct": "x"})
    columns = ["learner", "candidate_id", "item_id", "score", "x", "answered_at"]
    assert find_columns("a.csv", columns, own)["candidate_id"] == "learner"
    assert find_columns("a.csv", columns, own)["code"] == "x"
    with pytest.raises(SourceError, match=r"columns item_id, answered_at.*files\.item_id="):
        find_columns("a.csv", ["candidate_id", "score"], ACCEPTED)
    with pytest.raises(SourceError, match=r"candidate_id \(person_id, candidate_id\)"):
        find_columns("a.csv", ["person_id", *columns], ACCEPTED)
    with pytest.raises(SourceError, match="more than one column for item_id"):
        find_columns("a.csv", ["item_id", *columns], own)
    for unknown in ("files.learner", "attempt.student_id", "candidate_id"):
        with pytest.raises(SourceError, match=unknown):
            accepted_names({unknown: "x"})


def test_which_files_hold_answers(tmp_path: Path) -> None:
    taken = ["a.csv", "day=2026-03-10/part-0.parquet", "deep/er/b.TSV", "z.csv.gz"]
    passed = [
        "_SUCCESS", "_temporary/0/a.csv", ".hidden.csv", ".git/a.csv", "a.csv.tmp", "a.csv.part",
        "a.csv.crc", "notes.txt", "a.csv~", "csv", "b.xlsx",
    ]  # fmt: skip
    for name in (*taken, *passed):
        path = tmp_path / "answers" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(CSV)
    (tmp_path / "answers/folder.csv").mkdir()
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "secret.csv").write_text(CSV)
    (tmp_path / "answers/link").symlink_to(outside)
    (tmp_path / "answers/link.csv").symlink_to(outside / "secret.csv")
    (tmp_path / "answers/loop").symlink_to(tmp_path / "answers")
    listing = list_files(tmp_path / "answers")
    assert [file.name for file in listing.files] == taken
    assert listing.links == ("link", "link.csv", "loop")
    (tmp_path / "current").symlink_to(tmp_path / "answers")
    assert list_files(tmp_path / "current").files == listing.files


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/notes.txt").touch()
    (tmp_path / "a.txt").write_text(CSV)
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    expected = {
        "missing\nfile": "doesn't exist", "empty": "holds no file", "a.txt": "doesn't end in",
        "loop.csv": "can't be read", "a.txt/b.csv": "can't be read",
    }  # fmt: skip
    for name, reason in expected.items():
        with pytest.raises(SourceError, match=reason) as caught:
            list_files(tmp_path / name)
        assert len(str(caught.value).splitlines()) == 1
        assert "CALIBRATION_SOURCE__PATH" in str(caught.value)


def checksum_by_definition(row: list[str | None]) -> int:
    """FNV-1a and SplitMix64's finaliser as they are published."""
    found = 0xCBF29CE484222325
    for text in row:
        for byte in b"\xfe" if text is None else text.encode() + b"\xff":
            found = (found ^ byte) * 0x100000001B3 % 2**64
    found = (found ^ found >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    found = (found ^ found >> 27) * 0x94D049BB133111EB % 2**64
    return found ^ found >> 31


def test_checksums_are_those_of_the_definition() -> None:
    columns = [["ann", None, "", "é", "b"], ["i1", "i1", "", None, "x" * 300]]
    table = pa.table({str(n): pa.array(column) for n, column in enumerate(columns)})
    expected = [checksum_by_definition(list(row)) for row in zip(*columns, strict=True)]
    assert row_checksums(table).tolist() == expected
    assert expected[0] == 0xD028019E5493083C  # as in catalogues that are out there
    assert row_checksums(table.slice(1, 3)).tolist() == expected[1:4]
    assert row_checksums(pa.concat_tables([table.slice(2), table])).tolist() == [
        *expected[2:], *expected
    ]  # fmt: skip
    assert len(row_checksums(table.slice(0, 0))) == 0
