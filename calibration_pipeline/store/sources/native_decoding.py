"""Rows of a binary COPY of the response log into columns, and their checksums on the way.

Texts become codes of a dictionary that is made on the way, since most of them repeat; numbers stay
numbers. Compiled: as Python objects, millions of rows would take minutes. A batch of rows, which
stays in the processor's cache, is decoded column by column, so that what is done to numbers is done
to several at once.
"""

import numpy as np
from numba import njit, uint32, uint64

from calibration_pipeline.store.sources.native_texts import decode_texts
from calibration_pipeline.store.sources.postgres_hash import (
    hash_bytes,
    hash_double,
    hash_integer,
    hash_word,
)

WORD, LONG, DOUBLE, TEXT = range(4)
"""What a column of the COPY holds: numbers of up to 4 bytes or of 8, doubles (as bits), texts."""
_BATCH_ROWS = 256


@njit(inline="always")
def _four_bytes_at(buffer, at):
    return np.int32(
        (uint32(buffer[at]) << uint32(24))
        | (uint32(buffer[at + uint64(1)]) << uint32(16))
        | (uint32(buffer[at + uint64(2)]) << uint32(8))
        | uint32(buffer[at + uint64(3)])
    )


@njit(inline="always")
def _integer_at(buffer, place, length):
    """A big-endian number of 2, 4 or 8 bytes, with its sign."""
    at = uint64(place)
    if length == 4:
        return np.int64(_four_bytes_at(buffer, at))
    if length == 8:
        high = np.int64(_four_bytes_at(buffer, at))
        return (high << 32) | np.int64(np.uint32(_four_bytes_at(buffer, at + uint64(4))))
    return (np.int64(np.int8(buffer[at])) << 8) | np.int64(buffer[at + uint64(1)])


@njit(forceinline=True)
def _decode_numbers(buffer, places, lengths, numbers):
    for row in range(len(places)):
        length = lengths[row]
        numbers[row] = 0 if length < 0 else _integer_at(buffer, places[row], length)


@njit(forceinline=True)
def _hash_numbers(numbers, is_null, kind, seeds, hashed):
    """Hash the numbers of a batch, in a loop for each kind, which takes several rows at once."""
    if kind == WORD:
        for row in range(len(numbers)):
            hashed[row] = hash_word(uint32(numbers[row]), seeds[row])
    elif kind == LONG:
        for row in range(len(numbers)):
            hashed[row] = hash_integer(numbers[row], seeds[row])
    else:
        for row in range(len(numbers)):
            hashed[row] = hash_double(uint64(numbers[row]), seeds[row])
    for row in range(len(numbers)):
        hashed[row] = uint64(0) if is_null[row] else hashed[row]


@njit(forceinline=True)
def _hash_seeds(buffer, places, lengths, seeds):
    for row in range(len(places)):
        if lengths[row] >= 0:
            seeds[row] = hash_bytes(buffer, places[row], lengths[row], uint64(0))


@njit(forceinline=True)
def _hash_texts(buffer, places, lengths, seeds, hashed):
    """Hash anew the texts of the rows that have a seed."""
    for row in range(len(places)):
        if seeds[row] != 0 and lengths[row] >= 0:
            hashed[row] = hash_bytes(buffer, places[row], lengths[row], seeds[row])


@njit(forceinline=True)
def _decode_column(
    buffer, places, lengths, column, kind, rows, columns, dictionaries, seeds, hashed
):
    is_null = columns.is_null[column, rows]
    for row in range(len(places)):
        is_null[row] = lengths[row] < 0
    if kind == TEXT:
        codes = columns.codes[column, rows]
        decode_texts(buffer, places, lengths, column, dictionaries, codes, hashed)
        _hash_texts(buffer, places, lengths, seeds, hashed)
    else:
        numbers = columns.numbers[column, rows]
        _decode_numbers(buffer, places, lengths, numbers)
        _hash_numbers(numbers, is_null, kind, seeds, hashed)


@njit(forceinline=True)
def _locate(buffer, end, places, lengths, latest, steps):
    """Find the values of a batch, and where it ends.

    Most of a column's values are as long as the one before. The step to the next value is what that
    one took, which the processor has at hand while it still fetches this one's length.

    Parameters
    ----------
    latest, steps : int64, (n_columns,)
        The length of each column's latest value, and how many bytes it took.
    """
    n_columns, n_rows = places.shape
    place = np.int64(end)
    for row in range(n_rows):
        place += 2  # after the number of columns
        for column in range(n_columns):
            length = np.int64(_four_bytes_at(buffer, uint64(place)))
            place += 4
            places[column, row], lengths[column, row] = place, length
            if length != latest[column]:
                latest[column] = length
                steps[column] = length if length > 0 else 0
            place += steps[column]
    return place


@njit(cache=True, nogil=True)
def decode(buffer, n_rows, kinds, seed_column, hashed_columns, columns, dictionaries):
    """Decode rows, and hash the first columns of each as ``hash_record_extended`` would.

    Parameters
    ----------
    buffer : uint8, (n_bytes,)
        Rows of a binary COPY, one after another.
    n_rows
        How many there are.
    kinds : int64, (n_columns,)
        `WORD`, `LONG`, `DOUBLE` or `TEXT`.
    seed_column
        The text whose hash is the seed of its row's; a null's is 0.
    hashed_columns
        How many columns are hashed; the seed's comes after them.
    columns : Columns
        Filled, as far as there are rows.
    dictionaries : Dictionaries
        Filled: their texts keep their codes, and others get the next ones.

    Returns
    -------
    tuple
        The hash of each row and its seed, uint64, (n_rows,).
    """
    n_columns = len(kinds)
    row_hashes, seeds = np.zeros(n_rows, np.uint64), np.zeros(n_rows, np.uint64)
    places = np.empty((n_columns, _BATCH_ROWS), np.int64)
    lengths, hashed = np.empty_like(places), np.empty(_BATCH_ROWS, np.uint64)
    latest, steps = np.zeros(n_columns, np.int64), np.zeros(n_columns, np.int64)
    end = 0
    for first in range(0, n_rows, _BATCH_ROWS):
        rows = slice(first, min(first + _BATCH_ROWS, n_rows))
        n = rows.stop - rows.start
        end = _locate(buffer, end, places[:, :n], lengths[:, :n], latest, steps)
        _hash_seeds(buffer, places[seed_column, :n], lengths[seed_column, :n], seeds[rows])
        for column in range(n_columns):
            _decode_column(
                buffer, places[column, :n], lengths[column, :n], column, kinds[column], rows,
                columns, dictionaries, seeds[rows], hashed[:n],
            )  # fmt: skip
            if column < hashed_columns:
                for row in range(n):
                    row_hashes[first + row] = row_hashes[first + row] * uint64(31) + hashed[row]
    return row_hashes, seeds


@njit(cache=True, nogil=True)
def last_session(buffer, n_rows, session_column, start_column):
    """Find where the last session of ordered rows begins.

    Returns
    -------
    tuple
        Its first row's place in the buffer, and that row's number.
    """
    begin, first_row = np.int64(0), np.int64(0)
    ids, starts = np.zeros(2, np.int64), np.zeros(2, np.int64)  # place and length of the last row's
    end = np.int64(0)
    for row in range(n_rows):
        row_begin = end
        place = end + 2
        is_new = row == 0
        for column in range(np.int64(buffer[end]) << 8 | np.int64(buffer[end + 1])):
            length = np.int64(_four_bytes_at(buffer, uint64(place)))
            place += 4
            if column in (session_column, start_column):
                known = ids if column == session_column else starts
                if known[1] != length:
                    is_new = True
                for k in range(length):
                    is_new = is_new or buffer[place + k] != buffer[known[0] + k]
                known[0], known[1] = place, length
            place += length if length > 0 else 0
        if is_new:
            begin, first_row = row_begin, np.int64(row)
        end = place
    return begin, first_row


@njit(cache=True, nogil=True)
def with_flag(row_hashes, seeds, flags):
    """Go on with each row's hash by a truth value, and give their exclusive or.

    Parameters
    ----------
    row_hashes, seeds : uint64, (n_rows,)
        As `decode` gives them.
    flags : bool, (n_rows,)

    Returns
    -------
    uint64
    """
    total = uint64(0)
    for row in range(len(row_hashes)):
        flag = hash_word(np.uint32(flags[row]), seeds[row])
        total ^= row_hashes[row] * uint64(31) + flag
    return total
