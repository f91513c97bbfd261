"""A checksum per row of text that stays the same whatever version of a library computes it."""

import numba
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

UIntArray = NDArray[np.uint64]

_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_END_OF_TEXT = np.uint64(0xFF)  # neither byte occurs in UTF-8
_NO_TEXT = np.uint64(0xFE)


def row_checksums(rows: pa.Table) -> UIntArray:
    """Compute the 64-bit checksum of each row of text.

    FNV-1a over the bytes of the row's values, each followed by 0xFF, a null being 0xFE; then the
    finaliser of SplitMix64, without which the checksums of rows that differ in their last bytes
    could add up to the same sum. All of it is integer arithmetic modulo 2⁶⁴.

    Parameters
    ----------
    rows
        ``(n_rows, n_columns)`` columns of type string; their order counts, their names don't.

    Returns
    -------
    numpy.ndarray
        ``(n_rows,)``; sums of them don't depend on the order of rows.

    References
    ----------
    Fowler, Noll, Vo & Eastlake (2025), RFC 9923. Steele, Lea & Flood (2014), Fast splittable
    pseudorandom number generators, OOPSLA.
    """
    hashes = np.full(rows.num_rows, _FNV_OFFSET, np.uint64)
    for column in rows.columns:
        text = column.combine_chunks()
        _, offsets, content = text.buffers()
        if not rows.num_rows:
            continue
        starts = np.frombuffer(offsets, np.int32)[text.offset : text.offset + len(text) + 1]
        letters = np.frombuffer(content or b"", np.uint8)
        _fold(hashes, starts, letters, np.asarray(text.is_valid()))
    return _finalised(hashes)


def _fold_bytes(
    hashes: UIntArray,
    starts: NDArray[np.int32],
    letters: NDArray[np.uint8],
    is_valid: NDArray[np.bool_],
) -> None:
    """Fold a column into the rows' checksums; row r holds ``letters[starts[r]:starts[r + 1]]``."""
    for row in range(len(hashes)):
        found = hashes[row]
        if is_valid[row]:
            for place in range(starts[row], starts[row + 1]):
                found = (found ^ np.uint64(letters[place])) * _FNV_PRIME
            found = (found ^ _END_OF_TEXT) * _FNV_PRIME
        else:
            found = (found ^ _NO_TEXT) * _FNV_PRIME
        hashes[row] = found


_fold = numba.njit(cache=True, nogil=True)(_fold_bytes)


def _finalised(hashes: UIntArray) -> UIntArray:
    mixed = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
