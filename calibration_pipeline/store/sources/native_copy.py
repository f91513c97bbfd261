"""Rows of a binary COPY, taken from libpq by a compiled loop that leaves Python's lock alone.

psycopg makes an object of each row: at a million rows a second that is all that one core can do,
and nothing else of the process runs meanwhile. The functions called here are those of the libpq
that psycopg itself calls, on psycopg's own connection.
"""

import ctypes
import io
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import psycopg
from llvmlite import binding
from numba import njit, types
from numpy.typing import NDArray

_HEAD_BYTES = 19
_MOST_TAIL_BYTES = 21
"""Of what ends a COPY; without rows it has the head before it. A row of the log is longer."""
# Another driver may have brought a libpq of its own into the process: these names are ours.
_PREFIX = "calibration_"
_get_copy_data: Any = types.ExternalFunction(
    f"{_PREFIX}PQgetCopyData", types.int32(types.intp, types.intp, types.int32)
)
_consume_input: Any = types.ExternalFunction(f"{_PREFIX}PQconsumeInput", types.int32(types.intp))
_free: Any = types.ExternalFunction(f"{_PREFIX}PQfreemem", types.void(types.intp))
_copy_memory: Any = types.ExternalFunction("memcpy", types.intp(types.intp, types.intp, types.intp))
_sleep_microseconds: Any = types.ExternalFunction("usleep", types.int32(types.uint32))
_NAP = 200
"""Microseconds; half of it wakes more often, and twice as much gains nothing."""
_NAPS = sys.platform == "linux"
"""Elsewhere a socket may hold one message, which would be what a nap brings."""


class Block(NamedTuple):
    """Rows one after another, how many, and whether they are the last ones of their COPY."""

    content: NDArray[np.uint8]
    row_count: int
    is_last: bool


class CopyReader:
    """Takes rows from COPY statements of one connection, which nobody else may use meanwhile."""

    def __init__(self, driver: psycopg.Connection[Any]) -> None:
        self._driver: Any = driver.pgconn
        self._buffer = np.empty(0, np.uint8)

    def blocks(self, copy: psycopg.Copy, most_rows: int, most_bytes: int) -> Iterator[Block]:
        """Give a COPY's rows, without the head and the tail of its format.

        Parameters
        ----------
        most_rows
            Rows of a block.
        most_bytes
            A block ends with the row that brings it to this size.

        Yields
        ------
        Block
            Its content is overwritten by the next one.
        """
        take = self._taken_compiled if libpq_is_known() else self._taken_by_psycopg
        head, is_last = _HEAD_BYTES, False
        while not is_last:
            content, row_count, length = take(copy, most_rows, most_bytes)
            if length < 0:
                raise self._failure()
            is_last = length <= _MOST_TAIL_BYTES
            if is_last:
                copy.read()
            yield Block(content[head:], row_count, is_last)
            head = 0

    def _taken_compiled(
        self, _: psycopg.Copy, most_rows: int, most_bytes: int
    ) -> tuple[NDArray[np.uint8], int, int]:
        self._buffer, used, row_count, length = _take_rows(
            self._driver.pgconn_ptr, most_rows, most_bytes, self._buffer
        )
        return self._buffer[:used], row_count, length

    def _taken_by_psycopg(
        self, copy: psycopg.Copy, most_rows: int, most_bytes: int
    ) -> tuple[NDArray[np.uint8], int, int]:
        """Do the same where libpq's functions can't be found.

        What has come already is taken without `Copy.read`, which would take as much time as all
        the rest. `Copy.read` waits for more, ends, and says what went wrong.
        """
        content, row_count, length = io.BytesIO(), 0, _MOST_TAIL_BYTES + 1
        while row_count < most_rows and content.tell() < most_bytes:
            length, row = self._driver.get_copy_data(1)
            if length == 0:
                row = copy.read()
                length = len(row)
            if length <= _MOST_TAIL_BYTES:
                break
            content.write(row)
            row_count += 1
        return np.frombuffer(content.getbuffer(), np.uint8), row_count, length

    def _failure(self) -> psycopg.Error:
        """Give the error that has ended a COPY, and leave its connection ready for a rollback."""
        error: psycopg.Error = psycopg.OperationalError("the server ended the COPY")
        while (result := self._driver.get_result()) is not None:
            # The server's own words: that the connection was closed as well is told after them.
            if result.status == psycopg.pq.ExecStatus.FATAL_ERROR and not error.sqlstate:
                error = psycopg.errors.error_from_result(result)
        # libpq's own words on a lost connection have no state to tell their class by.
        return error if error.sqlstate else psycopg.OperationalError(str(error).strip())


@cache
def libpq_is_known() -> bool:
    """Make libpq's functions known to compiled code, and say whether that was possible."""
    try:
        # The dynamic linker looks for a name in what the library itself is linked with, too.
        library = ctypes.CDLL(sys.modules[psycopg.pq.PGconn.__module__].__file__)
        for name in ("PQgetCopyData", "PQconsumeInput", "PQfreemem"):
            address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
            binding.add_symbol(_PREFIX + name, address)
    except (OSError, AttributeError):
        return False
    return True


@njit(inline="always")
def _next_row(connection, row):
    """Take a row, waiting for it; its length is that of `PQgetCopyData`.

    Who waits in the kernel is woken by every message of eight kilobytes, which costs the server a
    quarter of its time. While this side naps, the server goes on, until the socket is full.
    """
    for is_nap in (False, True):
        length = _get_copy_data(connection, row.ctypes.data, 1)
        if length != 0:
            return length
        if is_nap and _NAPS:
            _sleep_microseconds(_NAP)
        if _consume_input(connection) == 0:
            break
    return _get_copy_data(connection, row.ctypes.data, 0)


@njit(cache=True, nogil=True)
def _take_rows(connection, most_rows, most_bytes, buffer):
    """Take rows until there are enough, waiting for them, or until the COPY ends.

    Parameters
    ----------
    connection
        The address of a `PGconn` in a COPY.
    buffer : uint8
        Overwritten, and replaced by a larger one when it is full.

    Returns
    -------
    tuple
        The buffer, how much of it is used, how many rows, and the length of the last row: that of
        the tail of the format at its end, negative if the server or the connection ended the COPY.
    """
    row = np.zeros(1, np.intp)
    used, row_count, length = 0, 0, _MOST_TAIL_BYTES + 1
    while row_count < most_rows and used < most_bytes:
        length = _next_row(connection, row)
        if length <= _MOST_TAIL_BYTES:
            if length > 0:
                _free(row[0])
            break
        if used + length > len(buffer):
            larger = np.empty(2 * (used + length), np.uint8)
            larger[:used] = buffer[:used]
            buffer = larger
        _copy_memory(buffer.ctypes.data + used, row[0], length)
        _free(row[0])
        used += length
        row_count += 1
    return buffer, used, row_count, length
