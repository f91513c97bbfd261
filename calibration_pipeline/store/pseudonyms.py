"""Keyed hashes in place of people's ids."""

import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store.tables import archive_revisions, candidate_map, suppressions

PSEUDONYM_BYTES = 16
KEY_FILE = "pseudonym.key"
_KEY_BYTES = 32
_MINIMUM_KEY_BYTES = 16

_BLOCK_BYTES = 64
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))


def pseudonyms_of(
    key: bytes, kind: Literal["candidate", "session"], ids: Iterable[str]
) -> list[bytes]:
    """Give the pseudonym of each id: HMAC-SHA256, cut to 16 bytes.

    The kind is part of what is hashed: a session and a candidate of one name differ.
    """
    # What the standard library's `hmac` does for one message (RFC 2104), with the key's part of
    # the work done once: a copy of its own object takes as long as all the rest.
    padded = (key if len(key) <= _BLOCK_BYTES else hashlib.sha256(key).digest()).ljust(
        _BLOCK_BYTES, b"\0"
    )
    inner = hashlib.sha256(padded.translate(_INNER_PAD) + f"{kind}\0".encode())
    outer = hashlib.sha256(padded.translate(_OUTER_PAD))
    pseudonyms = []
    for name in ids:
        hashed, again = inner.copy(), outer.copy()
        hashed.update(name.encode())
        again.update(hashed.digest())
        pseudonyms.append(again.digest()[:PSEUDONYM_BYTES])
    return pseudonyms


def as_dictionary(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """Give a column of texts in one piece, as codes of different texts."""
    encoded = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return encoded if pa.types.is_dictionary(encoded.type) else encoded.dictionary_encode()


def pseudonymised(
    key: bytes, kind: Literal["candidate", "session"], ids: pa.ChunkedArray
) -> tuple[pa.FixedSizeBinaryArray, dict[bytes, str]]:
    """Give the pseudonym of each row's id, null where the id is, and the id of each pseudonym.

    Parameters
    ----------
    ids
        Texts, as such or as a dictionary. Of a dictionary only what is used is looked at.
    """
    encoded = as_dictionary(ids)
    used = encoded.indices.unique().drop_null()
    names = encoded.dictionary.take(used).to_pylist()
    pseudonyms = pseudonyms_of(key, kind, names)
    of_code = np.zeros((len(encoded.dictionary), PSEUDONYM_BYTES), np.uint8)
    of_code[used.to_numpy()] = np.frombuffer(b"".join(pseudonyms), np.uint8).reshape(
        -1, PSEUDONYM_BYTES
    )
    known = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(PSEUDONYM_BYTES), len(of_code), [None, pa.py_buffer(of_code)]
    )
    return known.take(encoded.indices), dict(zip(pseudonyms, names, strict=True))


def pseudonym_key(chosen: str | None, home: Path, engine: sa.Engine, *, keep: bool = True) -> bytes:
    """Give the key that the operator has chosen, or the one kept in the home folder.

    A key is made only where nothing has been done with one yet: under a new key nobody who is in
    the archive, or was erased, would be recognised.

    Parameters
    ----------
    chosen
        The operator's own; None if there is none.
    home
        The folder that holds the key file.
    engine
        Of the database whose pseudonyms the key has made.
    keep
        Write a key that is made into the home folder; not so in a dry run.

    Raises
    ------
    BadInputError
        The key file can't be used, or is missing where it is needed.
    """
    if chosen:
        return chosen.encode()
    path = home / KEY_FILE
    if not path.exists():
        _require_no_pseudonyms(engine, path)
        if not keep:
            return secrets.token_bytes(_KEY_BYTES)
    return load_or_create_key(path)


def has_pseudonyms(connection: sa.Connection) -> bool:
    """Tell whether any pseudonym is kept, in the database or the archive."""
    tables = (archive_revisions, candidate_map, suppressions)
    is_any = sa.or_(*(sa.exists().select_from(table) for table in tables))
    return bool(connection.scalar(sa.select(is_any)))


def _require_no_pseudonyms(engine: sa.Engine, path: Path) -> None:
    with engine.connect() as connection:
        is_needed = has_pseudonyms(connection)
    if is_needed:
        raise BadInputError(
            f"there is no pseudonym key {path}, and the database has pseudonyms made with it: "
            "restore the file from where it is kept, or set CALIBRATION_PSEUDONYM_KEY "
            "(if the key is lost for good, see docs/personal-data.md); nothing was done"
        )


def load_or_create_key(path: Path) -> bytes:
    """Read the key file; on first use create it, readable by its owner alone.

    Two processes that create it at once end up with one and the same key.

    Raises
    ------
    BadInputError
        The file can't be read or written, or is too short to be a key.
    """
    try:
        if not path.exists():
            _create(path)
        key = path.read_bytes()
    except OSError as error:
        raise BadInputError(
            f"the pseudonym key {path} can't be used ({error.strerror}): "
            "correct its folder's permissions, or set CALIBRATION_PSEUDONYM_KEY"
        ) from error
    if len(key) < _MINIMUM_KEY_BYTES:
        raise BadInputError(
            f"the pseudonym key {path} is too short ({len(key)} bytes): restore it from a backup; "
            "with a new key nobody could be recognised in the archive"
        )
    return key


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, never replaces the key that another process has just made.
        path.hardlink_to(temporary)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
