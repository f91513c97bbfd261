"""What write functions ask for: something that opens transactions."""

from contextlib import AbstractContextManager
from typing import Protocol

import sqlalchemy as sa


class Transactions(Protocol):
    """Opens transactions: a plain engine, or a lock that lets its newest holder alone write.

    A run passes its `CalibrationLock`, so that none of its writes can come after it was succeeded.
    Commands that hold no lock pass the engine.
    """

    def begin(self) -> AbstractContextManager[sa.Connection]:
        """Open a transaction, committed where its block ends and rolled back by an error."""
        ...
