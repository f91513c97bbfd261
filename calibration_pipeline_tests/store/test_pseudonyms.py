"""Pseudonyms: keyed, of one length, and a key that is made once."""

import hmac
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store.pseudonyms import (
    load_or_create_key,
    pseudonymised,
    pseudonyms_of,
)

KEY = bytes(range(32))


def test_a_pseudonym_depends_on_key_kind_and_id() -> None:
    first = pseudonyms_of(KEY, "candidate", ["ann", "bob"])
    assert [len(pseudonym) for pseudonym in first] == [16, 16]
    assert first == pseudonyms_of(KEY, "candidate", ["ann", "bob"])
    assert first[0] != first[1]
    assert first != pseudonyms_of(KEY, "session", ["ann", "bob"])
    assert first != pseudonyms_of(KEY[::-1], "candidate", ["ann", "bob"])


def test_a_pseudonym_is_a_truncated_hmac() -> None:
    # printf 'candidate\0ann' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1f
    assert pseudonyms_of(KEY, "candidate", ["ann"])[0].hex() == "411ec72952f7c9634e1d6dc5f684d54f"


@pytest.mark.parametrize("length", [16, 32, 63, 64, 65, 200])
def test_keys_of_any_length_give_the_hmac_of_the_standard_library(length: int) -> None:
    key = bytes(number % 256 for number in range(7, 7 + length))
    ids = ["", "ann", "ä" * 30, "x" * 200]
    expected = [hmac.digest(key, b"session\0" + name.encode(), "sha256")[:16] for name in ids]
    assert pseudonyms_of(key, "session", ids) == expected


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / "pseudonym.key"
    key = load_or_create_key(path)
    assert len(key) == 32
    assert load_or_create_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["pseudonym.key"]


def test_processes_that_make_the_key_at_once_agree(tmp_path: Path) -> None:
    path = tmp_path / "pseudonym.key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(load_or_create_key, [path] * 32))
    assert len(keys) == 1


def test_a_damaged_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pseudonym.key"
    path.write_bytes(b"short")
    with pytest.raises(BadInputError, match=r"too short.*restore it"):
        load_or_create_key(path)


def test_an_unusable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match=r"pseudonym.key can't be used"):
        load_or_create_key(tmp_path / "file" / "pseudonym.key")


@pytest.mark.parametrize("kind", [pa.string(), pa.dictionary(pa.int32(), pa.string())])
def test_a_column_is_pseudonymised_without_what_nobody_uses(kind: pa.DataType) -> None:
    column = pa.chunked_array([["unused", "bob", None, "ann", "bob"]], pa.string())
    if pa.types.is_dictionary(kind):
        column = column.dictionary_encode()
    pseudonyms, ids = pseudonymised(KEY, "candidate", column.slice(1))
    bob, ann = pseudonyms_of(KEY, "candidate", ["bob", "ann"])
    assert pseudonyms.to_pylist() == [bob, None, ann, bob]
    assert ids == {bob: "bob", ann: "ann"}
