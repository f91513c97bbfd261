"""Shards as bytes: a header that names the arrays, and the arrays as they are in memory."""

import hashlib
import json
from dataclasses import fields

import numpy as np

from calibration_pipeline.irt.shards import AnswerShards

_ALIGNMENT = 64
_LENGTH_BYTES = 8


def pack(shards: AnswerShards) -> list[bytes | memoryview]:
    """Give the parts of a file; arrays aren't copied."""
    arrays = {f.name: np.ascontiguousarray(getattr(shards, f.name)) for f in fields(shards)}
    header = json.dumps([[name, a.dtype.str, len(a)] for name, a in arrays.items()]).encode()
    header += b" " * (-(_LENGTH_BYTES + len(header)) % _ALIGNMENT)
    parts: list[bytes | memoryview] = [len(header).to_bytes(_LENGTH_BYTES, "little") + header]
    for array in arrays.values():
        parts += [array.data.cast("B")] if len(array) else []
        parts.append(b"\0" * (-array.nbytes % _ALIGNMENT))
    return parts


def digest_of(parts: list[bytes | memoryview]) -> str:
    """Fingerprint of a file's content."""
    fingerprint = hashlib.blake2b(digest_size=16)
    for part in parts:
        fingerprint.update(part)
    return fingerprint.hexdigest()


def unpack(content: bytearray) -> AnswerShards:
    """Give the shards; their arrays share the memory of `content`, and can be written to.

    Compiled loops tell arrays that can be written to from those that can't, and would be compiled
    again for the latter.
    """
    start = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    arrays, position = {}, start
    for name, kind, length in json.loads(bytes(content[_LENGTH_BYTES:start])):
        arrays[name] = np.frombuffer(content, kind, length, position)
        position += arrays[name].nbytes + -arrays[name].nbytes % _ALIGNMENT
    return AnswerShards(**arrays)
