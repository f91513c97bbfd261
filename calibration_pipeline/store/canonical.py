"""SHA-256 of values in one canonical byte form, the same on every machine."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Part = str | int | float | None | Sequence[str | None] | NDArray[np.generic]


def digest_of(*parts: Part) -> str:
    """Digest values in the given order.

    Each part is written with its kind and length, so that no two sequences of parts share their
    bytes. Numbers are little-endian; every NaN is the same NaN, and −0 is 0.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    hasher = hashlib.sha256()
    for part in parts:
        payload = _bytes_of(part)
        hasher.update(f"{len(payload)}:".encode())
        hasher.update(payload)
    return hasher.hexdigest()


def _bytes_of(part: Part) -> bytes:
    if part is None:
        return b"none"
    if isinstance(part, str):
        return b"text:" + part.encode()
    if isinstance(part, float):
        return b"float:" + canonical_floats(np.array([part])).tobytes()
    if isinstance(part, int):
        return b"int:" + str(part).encode()
    if isinstance(part, np.ndarray):
        header = f"array:{part.dtype.kind}{part.shape}:".encode()
        return header + _canonical_numbers(part).tobytes()
    return b"list:" + b"".join(
        b"-" if text is None else f"{len(text.encode())}:{text}".encode() for text in part
    )


def _canonical_numbers(array: NDArray[np.generic]) -> NDArray[np.generic]:
    if array.dtype.kind == "f":
        return canonical_floats(array)
    return np.ascontiguousarray(array, dtype="<i8" if array.dtype.kind in "iub" else None)


def canonical_floats(array: NDArray[np.generic]) -> NDArray[np.float64]:
    """Give the floats with one NaN and one zero, little-endian and contiguous."""
    floats = np.array(array, dtype="<f8", order="C")
    floats[np.isnan(floats)] = np.nan
    return floats + 0.0
