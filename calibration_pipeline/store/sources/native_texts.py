"""Codes for texts: a hash table for each column, which is made while its texts are read.

numba's cache of `native_decoding` doesn't see a change of this file: touch that one, too.
"""

import numpy as np
from numba import njit, uint64

from calibration_pipeline.store.sources.postgres_hash import hash_bytes

_SMALLEST_CAPACITY = 1024
_LONG_BYTES = 8
_MULTIPLIER = 0x9E3779B97F4A7C15
_UPPER = 0xFFFFFFFF00000000


@njit(inline="always")
def _long_at(buffer, place):
    """Eight bytes as a little-endian number; one load."""
    at = uint64(place)
    long = uint64(0)
    for k in range(_LONG_BYTES):
        long |= uint64(buffer[at + uint64(k)]) << uint64(8 * k)
    return long


@njit(forceinline=True)
def _short_at(buffer, place, length):
    """Less than eight bytes as a number, and their count in the byte that they leave."""
    if place + _LONG_BYTES <= len(buffer):
        short = _long_at(buffer, place) & ((uint64(1) << uint64(8 * length)) - uint64(1))
    else:
        short = uint64(0)
        for k in range(length):
            short |= uint64(buffer[uint64(place + k)]) << uint64(8 * k)
    return short | (uint64(length) << uint64(56))


@njit(forceinline=True)
def _key(buffer, place, length):
    """Give a text's key: a hash that takes a fraction of the time of PostgreSQL's.

    Two texts of less than eight bytes have the same key only if they are the same.
    """
    if length < _LONG_BYTES:
        key = _short_at(buffer, place, length)
    else:
        key = uint64(length)
        for k in range(0, length - _LONG_BYTES, _LONG_BYTES):
            key = (key ^ _long_at(buffer, place + k)) * uint64(_MULTIPLIER)
            key ^= key >> uint64(32)
        key ^= _long_at(buffer, place + length - _LONG_BYTES)
    key *= uint64(_MULTIPLIER)
    return key ^ (key >> uint64(32))


@njit(forceinline=True)
def _is_same(buffer, place, texts, begin, length):
    """Compare texts of one key and one length."""
    if length < _LONG_BYTES:
        return True
    for k in range(0, length - _LONG_BYTES, _LONG_BYTES):
        if _long_at(buffer, place + k) != _long_at(texts, begin + k):
            return False
    last = length - _LONG_BYTES
    return _long_at(buffer, place + last) == _long_at(texts, begin + last)


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
def _find(buffer, place, length, key, slots, keys, offsets, texts, capacity):
    """The code of a text, or −1."""
    slot = key & uint64(capacity - 1)
    while slots[slot] != 0:
        # Most texts are told apart by what is in the slot, so that nothing else has to be fetched.
        if (slots[slot] ^ key) & uint64(_UPPER) == 0:
            code = (slots[slot] & ~uint64(_UPPER)) - uint64(1)
            begin = offsets[code]
            if (
                keys[code] == key
                and offsets[code + uint64(1)] - begin == length
                and _is_same(buffer, place, texts, begin, length)
            ):
                return np.int64(code)
        slot = (slot + uint64(1)) & uint64(capacity - 1)
    return np.int64(-1)


@njit(forceinline=True)
def decode_texts(buffer, places, lengths, column, dictionaries, codes, hashed):
    """Give each text of a batch its code, and PostgreSQL's hash of it without a seed."""
    slots, keys = dictionaries.slots[column], dictionaries.keys[column]
    offsets, texts = dictionaries.offsets[column], dictionaries.texts[column]
    hashes = dictionaries.hashes[column]
    count, capacity = dictionaries.counts[column], dictionaries.capacities[column]
    for row in range(len(places)):
        place, length = places[row], lengths[row]
        if length < 0:
            codes[row], hashed[row] = -1, 0
            continue
        if 2 * count >= capacity:
            capacity = _grow(slots, keys, count, capacity)
        key = _key(buffer, place, length)
        code = _find(buffer, place, length, key, slots, keys, offsets, texts, capacity)
        if code < 0:
            code = count
            begin = np.int64(offsets[code])
            _enter(slots, key, code, capacity)
            keys[code] = key
            hashes[code] = hash_bytes(buffer, place, length, uint64(0))
            texts[begin : begin + length] = buffer[place : place + length]
            offsets[code + 1] = begin + length
            count += 1
        codes[row], hashed[row] = code, hashes[code]
    dictionaries.counts[column], dictionaries.capacities[column] = count, capacity
