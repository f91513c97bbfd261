"""Working ahead: a stream of blocks is made in a thread of its own while its user is busy."""

import queue
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar

Block = TypeVar("Block")

BLOCKS_AT_ONCE = 3
"""The one that is used, the one that waits, and the one that is made."""
_PATIENCE_SECONDS = 0.1


def reading_ahead(
    blocks: Generator[Block, None, None], interrupt: Callable[[], object]
) -> Generator[Block, None, None]:
    """Give the blocks of a stream, of which the next one is made while this one is used.

    At most two blocks exist that have not been given (`BLOCKS_AT_ONCE`). What the stream raises is
    raised here. A user who stops early, for whatever reason, waits until the stream is closed.

    Parameters
    ----------
    blocks
        Nobody else may use what it uses until it has ended.
    interrupt
        Called when the user stops early, until the stream ends: ends what it is waiting for.
    """
    made: queue.Queue[Block | BaseException | None] = queue.Queue(maxsize=1)
    is_unwanted, has_ended = threading.Event(), threading.Event()

    def hand_over(block: Block | BaseException | None) -> bool:
        while not is_unwanted.is_set():
            try:
                made.put(block, timeout=_PATIENCE_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        end: BaseException | None = None
        try:
            with closing(blocks):
                all(map(hand_over, blocks))
        except BaseException as error:  # it is raised where the blocks are used
            end = error
        has_ended.set()
        hand_over(end)

    thread = threading.Thread(target=work, name="reading ahead", daemon=True)
    thread.start()
    try:
        while (block := made.get()) is not None:
            if isinstance(block, BaseException):
                raise block
            yield block
    finally:
        is_unwanted.set()
        try:
            # Again and again: what it comes too early for may be what the stream waits for next.
            while not has_ended.is_set():
                interrupt()
                has_ended.wait(_PATIENCE_SECONDS)
        finally:  # whoever uses the connection next must be alone with it
            thread.join()
