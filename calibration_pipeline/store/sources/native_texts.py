"""Codes for texts: a hash table for each column, which is made while its texts are read.

What is done for every text takes addresses: an array that is handed to a function is counted as
used and as unused again, which takes longer than all the rest.

numba's cache of `native_decoding` doesn't see a change of this file: touch that one, too.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types, uint64
from numba.extending import intrinsic

from calibration_pipeline.store.sources.postgres_hash import hash_bytes

_SMALLEST_CAPACITY = 1024
_LONG_BYTES = 8
_MULTIPLIER = 0x9E3779B97F4A7C15
_UPPER = 0xFFFFFFFF00000000


def _load_long(_typing_context, _address):
    """Eight bytes at any address as a number: little-endian, on a machine that is."""

    def generate(_context, builder, _signature, arguments):
        load = builder.load(builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()))
        load.align = 1
        return load

    return types.uint64(types.uint64), generate


def _load_byte(_typing_context, _address):
    def generate(_context, builder, _signature, arguments):
        return builder.load(builder.inttoptr(arguments[0], ir.IntType(8).as_pointer()))

    return types.uint8(types.uint64), generate


_long_at: Any = intrinsic(_load_long)
_byte_at: Any = intrinsic(_load_byte)


@njit(inline="always")
def _short_at(address, length, end):
    """Less than eight bytes as a number, and their count in the byte that they leave."""
    if address + uint64(_LONG_BYTES) <= end:
        short = _long_at(address) & ((uint64(1) << uint64(8 * length)) - uint64(1))
    else:
        short = uint64(0)
        for k in range(length):
            short |= uint64(_byte_at(address + uint64(k))) << uint64(8 * k)
    return short | (uint64(length) << uint64(56))


@njit(inline="always")
def _key(address, length, end):
    """Give a text's key: a hash that takes a fraction of the time of PostgreSQL's.

    Two texts of less than eight bytes have the same key only if they are the same.
    """
    if length < _LONG_BYTES:
        key = _short_at(address, length, end)
    else:
        key = uint64(length)
        for k in range(0, length - _LONG_BYTES, _LONG_BYTES):
            key = (key ^ _long_at(address + uint64(k))) * uint64(_MULTIPLIER)
            key ^= key >> uint64(32)
        key ^= _long_at(address + uint64(length - _LONG_BYTES))
    # A product's bits depend on those at their place and below. The last characters, in which ids
    # differ, stand above: without this, the ids of a bank would share a hundred slots.
    key ^= key >> uint64(32)
    key *= uint64(_MULTIPLIER)
    return key ^ (key >> uint64(32))


@njit(inline="always")
def _is_same(one, other, length):
    """Compare texts of one key and one length."""
    is_same = True
    if length >= _LONG_BYTES:
        for k in range(0, length - _LONG_BYTES, _LONG_BYTES):
            is_same &= _long_at(one + uint64(k)) == _long_at(other + uint64(k))
        last = uint64(length - _LONG_BYTES)
        is_same &= _long_at(one + last) == _long_at(other + last)
    return is_same


@njit(forceinline=True)
def _enter(slots, key, code, capacity):
    """Enter a code in the first free slot, with the upper half of its key."""
    slot = key & uint64(capacity - 1)
    while slots[slot] != 0:
        slot = (slot + uint64(1)) & uint64(capacity - 1)
    slots[slot] = (key & uint64(_UPPER)) | uint64(code + 1)


@njit(forceinline=True)
def _grow(slots, keys, count, capacity):
    """Make the slots of a dictionary twice as many; they stay few, and so in the cache."""
    capacity = max(2 * capacity, _SMALLEST_CAPACITY)
    slots[:capacity] = 0
    for code in range(count):
        _enter(slots, keys[code], code, capacity)
    return capacity


@njit(forceinline=True)
def _append(text, code, offsets, texts):
    begin = np.int64(offsets[code])
    texts[begin : begin + len(text)] = text
    offsets[code + 1] = begin + len(text)


@njit(forceinline=True)
def decode_texts(buffer, places, lengths, column, dictionaries, codes, hashed):
    """Give each text of a batch its code, and PostgreSQL's hash of it without a seed."""
    slots, keys = dictionaries.slots[column], dictionaries.keys[column]
    offsets, texts = dictionaries.offsets[column], dictionaries.texts[column]
    hashes = dictionaries.hashes[column]
    count, capacity = dictionaries.counts[column], dictionaries.capacities[column]
    begin_of_buffer, begin_of_texts = uint64(buffer.ctypes.data), uint64(texts.ctypes.data)
    end_of_buffer = begin_of_buffer + uint64(len(buffer))
    for row in range(len(places)):
        place, length = places[row], lengths[row]
        if length < 0:
            codes[row], hashed[row] = -1, 0
            continue
        if 2 * count >= capacity:
            capacity = _grow(slots, keys, count, capacity)
        address = begin_of_buffer + uint64(place)
        key = _key(address, length, end_of_buffer)
        slot = key & uint64(capacity - 1)
        code = count
        while slots[slot] != 0:
            # Most texts are told apart by what is in the slot: nothing else has to be fetched.
            if (slots[slot] ^ key) & uint64(_UPPER) == 0:
                found = (slots[slot] & ~uint64(_UPPER)) - uint64(1)
                begin = offsets[found]
                if (
                    keys[found] == key
                    and offsets[found + uint64(1)] - begin == length
                    and _is_same(address, begin_of_texts + uint64(begin), length)
                ):
                    code = np.int64(found)
                    break
            slot = (slot + uint64(1)) & uint64(capacity - 1)
        if code == count:
            _enter(slots, key, code, capacity)
            keys[code] = key
            hashes[code] = hash_bytes(buffer, place, length, uint64(0))
            _append(buffer[place : place + length], code, offsets, texts)
            count += 1
        codes[row], hashed[row] = code, hashes[code]
    dictionaries.counts[column], dictionaries.capacities[column] = count, capacity
