"""PostgreSQL's own hash functions, so that a checksum of its rows can be computed beside them.

They are those of ``hash_bytes_extended`` in PostgreSQL's ``src/common/hashfn.c``, on a
little-endian machine. PostgreSQL can't change them: which partition of a hash-partitioned table a
row lies in depends on them. A test compares them with the server's.

numba's cache of `native_decoding` doesn't see a change of this file: touch that one, too.
"""

import numpy as np
from numba import njit, uint32, uint64

_START = np.uint32(0x9E3779B9 + 3923095 & 0xFFFFFFFF)
_WORD = 4


@njit(inline="always")
def _rotate(x, bits):
    return uint32((x << uint32(bits)) | (x >> uint32(32 - bits)))


@njit(inline="always")
def _mix(a, b, c):
    a = uint32(a - c) ^ _rotate(c, 4)
    c = uint32(c + b)
    b = uint32(b - a) ^ _rotate(a, 6)
    a = uint32(a + c)
    c = uint32(c - b) ^ _rotate(b, 8)
    b = uint32(b + a)
    a = uint32(a - c) ^ _rotate(c, 16)
    c = uint32(c + b)
    b = uint32(b - a) ^ _rotate(a, 19)
    a = uint32(a + c)
    c = uint32(c - b) ^ _rotate(b, 4)
    b = uint32(b + a)
    return a, b, c


@njit(inline="always")
def _finish(a, b, c):
    c = uint32((c ^ b) - _rotate(b, 14))
    a = uint32((a ^ c) - _rotate(c, 11))
    b = uint32((b ^ a) - _rotate(a, 25))
    c = uint32((c ^ b) - _rotate(b, 16))
    a = uint32((a ^ c) - _rotate(c, 4))
    b = uint32((b ^ a) - _rotate(a, 14))
    c = uint32((c ^ b) - _rotate(b, 24))
    return (uint64(b) << uint64(32)) | uint64(c)


@njit(inline="always")
def _seeded(length, seed):
    a = uint32(_START + uint32(length))
    if seed == 0:
        return a, a, a
    return _mix(uint32(a + uint32(seed >> uint64(32))), uint32(a + uint32(seed)), a)


@njit(inline="always")
def _word_at(buffer, place):
    """Four bytes as a little-endian number: one load, since an unsigned place needs no check."""
    place = uint64(place)
    return (
        uint32(buffer[place])
        | (uint32(buffer[place + uint64(1)]) << uint32(8))
        | (uint32(buffer[place + uint64(2)]) << uint32(16))
        | (uint32(buffer[place + uint64(3)]) << uint32(24))
    )


@njit(inline="always")
def _bytes_at(buffer, place, count):
    """Up to four bytes as a little-endian number."""
    if count >= _WORD:
        return _word_at(buffer, place)
    word = uint32(0)
    for k in range(count):
        word |= uint32(buffer[uint64(place + k)]) << uint32(8 * k)
    return word


@njit(cache=True, nogil=True)
def hash_bytes(buffer, place, length, seed):
    """Hash `length` bytes of a uint8 array from `place` on: ``hashtextextended`` of a text."""
    a, b, c = _seeded(length, seed)
    while length >= 3 * _WORD:
        a = uint32(a + _word_at(buffer, place))
        b = uint32(b + _word_at(buffer, place + _WORD))
        c = uint32(c + _word_at(buffer, place + 2 * _WORD))
        a, b, c = _mix(a, b, c)
        place += 3 * _WORD
        length -= 3 * _WORD
    a = uint32(a + _bytes_at(buffer, place, length))
    if length > _WORD:
        b = uint32(b + _bytes_at(buffer, place + _WORD, length - _WORD))
    if length > 2 * _WORD:
        # The lowest byte of c is the length's.
        rest = _bytes_at(buffer, place + 2 * _WORD, length - 2 * _WORD)
        c = uint32(c + (rest << uint32(8)))
    return _finish(a, b, c)


@njit(inline="always")
def hash_word(word, seed):
    """Hash a 32-bit number: ``hashint4extended``, and of smaller ones and truth values."""
    a, b, c = _seeded(_WORD, seed)
    return _finish(uint32(a + word), b, c)


@njit(inline="always")
def hash_integer(value, seed):
    """Hash a 64-bit number so that it agrees with the smaller types: ``hashint8extended``."""
    low, high = uint32(value), uint32(value >> 32)
    return hash_word(low ^ (high if value >= 0 else ~high), seed)


@njit(inline="always")
def hash_double(bits, seed):
    """Hash a float given by its bits: ``hashfloat8extended``."""
    if bits << uint64(1) == 0:  # 0 and −0
        return seed
    if (bits << uint64(1)) > uint64(0xFFE0000000000000):
        bits = uint64(0x7FF8000000000000)  # every NaN is the same
    a, b, c = _seeded(2 * _WORD, seed)
    return _finish(uint32(a + uint32(bits)), uint32(b + uint32(bits >> uint64(32))), c)
