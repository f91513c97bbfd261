"""Rows of a binary COPY of the response log into columns, and their checksums on the way.

Texts become codes of a dictionary that is made on the way, since most of them repeat; numbers stay
numbers. Compiled: as Python objects, millions of rows would take minutes.
"""

import numpy as np
from numba import njit, uint32, uint64

from calibration_pipeline.store.sources.postgres_hash import (
    hash_bytes,
    hash_double,
    hash_integer,
    hash_word,
)

SMALLEST_CAPACITY = 1024
INTEGER, DOUBLE, TEXT = range(3)
"""What a column of the COPY holds; a double is decoded as its bits."""


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


@njit(inline="always")
def _is_same(buffer, place, column, texts, begin, length):
    same = 0
    while same < length and buffer[uint64(place + same)] == texts[column, uint64(begin + same)]:
        same += 1
    return same == length


@njit(inline="always")
def _slot_for(column, hashed, slots, capacity):
    """The first free slot."""
    slot = hashed & uint64(capacity - 1)
    while slots[column, slot] >= 0:
        slot = (slot + uint64(1)) & uint64(capacity - 1)
    return slot


@njit
def _grow(column, slots, hashes, count, capacity):
    """Make the slots of a dictionary twice as many; they stay few, and so in the cache."""
    capacity = max(2 * capacity, SMALLEST_CAPACITY)
    for slot in range(capacity):
        slots[column, slot] = -1
    for code in range(count):
        slots[column, _slot_for(column, hashes[column, code], slots, capacity)] = code
    return capacity


@njit(inline="always")
def _find(column, buffer, place, length, hashed, slots, hashes, offsets, texts, capacity):
    """The code of a text, or −1."""
    slot = hashed & uint64(capacity - 1)
    while True:
        code = np.int64(slots[column, slot])
        if code < 0:
            return code
        begin = np.int64(offsets[column, code])
        if (
            hashes[column, code] == hashed
            and offsets[column, code + 1] - begin == length
            and _is_same(buffer, place, column, texts, begin, length)
        ):
            return code
        slot = (slot + uint64(1)) & uint64(capacity - 1)


@njit
def _add(column, buffer, place, length, hashed, slots, hashes, offsets, texts, code, capacity):
    """Give a new text the next code; the dictionary has room for it."""
    slots[column, _slot_for(column, hashed, slots, capacity)] = code
    hashes[column, code] = hashed
    begin = np.int64(offsets[column, code])
    for k in range(length):
        texts[column, begin + k] = buffer[place + k]
    offsets[column, code + 1] = begin + length


@njit(inline="always")
def _number_hash(value, kind, length, seed):
    if kind == DOUBLE:
        return hash_double(uint64(value), seed)
    if length == 8:
        return hash_integer(value, seed)
    return hash_word(np.uint32(value), seed)


@njit(cache=True, nogil=True)
def decode(buffer, n_rows, kinds, seed_column, hashed_columns, numbers, is_null, codes,
           slots, hashes, offsets, texts):  # fmt: skip
    """Decode rows, and hash the first columns of each as ``hash_record_extended`` would.

    Parameters
    ----------
    buffer : uint8, (n_bytes,)
        Rows of a binary COPY, one after another.
    n_rows
        How many there are.
    kinds : int64, (n_columns,)
        `INTEGER`, `DOUBLE` or `TEXT`.
    seed_column
        The text whose hash is the seed of its row's; a null's is 0.
    hashed_columns
        How many columns are hashed; the seed's comes after them.
    numbers : int64, (n_columns, n_rows)
        Filled with the numbers, or the bits of doubles.
    is_null : bool, (n_columns, n_rows)
        Filled.
    codes : int32, (n_columns, n_rows)
        Filled with the codes of texts.
    slots, hashes : int32, (n_columns, n_slots), and uint64, (n_columns, n_rows)
        The hash tables of the dictionaries, for four times as many slots as rows.
    offsets, texts : int32, (n_columns, n_rows + 1), and uint8, (n_columns, n_bytes)
        Filled with the dictionaries: the text of a code begins at its offset and ends at the next.

    Returns
    -------
    tuple
        The hash of each row and its seed, uint64, (n_rows,), and the number of texts in each
        column's dictionary, int64, (n_columns,).
    """
    n_columns = len(kinds)
    counts = np.zeros(n_columns, np.int64)
    capacities = np.zeros(n_columns, np.int64)
    offsets[:, 0] = 0
    row_hashes = np.zeros(n_rows, np.uint64)
    seeds = np.zeros(n_rows, np.uint64)
    at = np.empty(n_columns, np.int64)
    size = np.empty(n_columns, np.int64)
    end = np.int64(0)
    for row in range(n_rows):
        place = end + 2  # after the number of columns
        for column in range(n_columns):
            length = np.int64(_four_bytes_at(buffer, uint64(place)))
            place += 4
            at[column], size[column] = place, length
            is_null[column, row] = length < 0
            place += length if length > 0 else 0
        end = place
        seed = uint64(0)
        if size[seed_column] >= 0:
            seed = hash_bytes(buffer, at[seed_column], size[seed_column], uint64(0))
        seeds[row] = seed
        combined = uint64(0)
        for column in range(n_columns):
            length, place, hashed = size[column], at[column], uint64(0)
            if length < 0:
                numbers[column, row] = 0
                codes[column, row] = -1
            elif kinds[column] == TEXT:
                unseeded = hash_bytes(buffer, place, length, uint64(0))
                if 2 * counts[column] >= capacities[column]:
                    capacities[column] = _grow(
                        column, slots, hashes, counts[column], capacities[column]
                    )
                code = _find(
                    column, buffer, place, length, unseeded,
                    slots, hashes, offsets, texts, capacities[column],
                )  # fmt: skip
                if code < 0:
                    code = counts[column]
                    _add(
                        column, buffer, place, length, unseeded,
                        slots, hashes, offsets, texts, code, capacities[column],
                    )  # fmt: skip
                    counts[column] += 1
                codes[column, row] = code
                hashed = unseeded
                if seed != 0 and column < hashed_columns:
                    hashed = hash_bytes(buffer, place, length, seed)
            else:
                value = _integer_at(buffer, place, length)
                numbers[column, row] = value
                if column < hashed_columns:
                    hashed = _number_hash(value, kinds[column], length, seed)
            if column < hashed_columns:
                combined = combined * uint64(31) + hashed
        row_hashes[row] = combined
    return row_hashes, seeds, counts


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
