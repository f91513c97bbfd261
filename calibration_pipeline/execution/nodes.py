"""Which nodes of the fixed tree workers are given."""

from calibration_pipeline.irt.shards import halves

Node = tuple[int, int]
"""The blocks from the first to before the second."""
NODES_PER_WORKER = 4
"""Where the tree can't be divided evenly: more of them even out what each worker has."""


def cut(n_blocks: int, n_workers: int) -> list[Node]:
    """Cut the tree into nodes that cover every block once: about one for each worker, or some.

    Parameters
    ----------
    n_blocks
        1 or more.
    n_workers
        1 or more; beyond `n_blocks` they have nothing to do.
    """
    is_even = n_workers & (n_workers - 1) == 0
    wanted = n_workers if is_even else NODES_PER_WORKER * n_workers
    nodes = [(0, n_blocks)]
    while len(nodes) < min(wanted, n_blocks):
        nodes = [half for node in nodes for half in _halved(node)]
    return nodes


def _halved(node: Node) -> list[Node]:
    first, end = node
    if end - first == 1:
        return [node]
    middle = halves(first, end)
    return [(first, middle), (middle, end)]
