"""Blocks of a day of the response log, decoded one after another."""

from collections.abc import Collection, Generator, Iterable, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from calibration_pipeline.store.sources.native_items import NamedItems
from calibration_pipeline.store.sources.native_memory import Workspace
from calibration_pipeline.store.sources.native_rows import COPIED, LASTING, CopiedRows, Tally
from calibration_pipeline.store.sources.native_stream import Rows


class DayDecoder:
    """Decodes the blocks of a day, and notes what is known of the day at its end.

    Parameters
    ----------
    bank
        Ids of items by version of their content.
    inconsistent
        Ids of sessions that are known to have more than one start.
    """

    def __init__(self, bank: Mapping[int, pa.Array], inconsistent: Collection[str]) -> None:
        self._items = NamedItems(bank)
        self._inconsistent = inconsistent
        self._workspace = Workspace(len(COPIED), LASTING)
        self._session_hashes: list[NDArray[np.uint64]] = []
        self.tally = Tally()

    def tables(self, copied: Iterable[Rows]) -> Generator[pa.Table, None, None]:
        """Give the rows of each block as `CopiedRows.table` does; none of an empty one."""
        for content, row_count in copied:
            if row_count:
                rows = CopiedRows(content, row_count, self._workspace, self._items)
                is_unknown = rows.is_unknown()
                self.tally += rows.tally(is_unknown)
                self._session_hashes.append(rows.session_hashes())
                yield rows.table(rows.reasons(is_unknown, self._inconsistent))

    def a_session_may_start_twice(self) -> bool:
        """Tell whether two sessions have one hash: one id, but for a chance in a million."""
        hashes = np.sort(np.concatenate([np.empty(0, np.uint64), *self._session_hashes]))
        return bool((hashes[1:] == hashes[:-1]).any())
