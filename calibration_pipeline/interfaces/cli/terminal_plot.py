"""A small plot in characters: curves of Braille dots, bars and marks, on labelled axes.

No colour is needed to read it, and it is the same in a pipe. A row is four dots high and a column
two wide (Unicode 4.0, block 2800 to 28FF).
"""

from collections.abc import Sequence

_BLANK, _DOTS_ACROSS, _DOTS_UP = 0x2800, 2, 4
# The bit of each dot, by its column and its row from the top.
_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_LABEL = 7
"""Characters to the left of the axis."""
LEAST_WIDTH = 30


class TerminalPlot:
    """A plot of some columns and rows of characters.

    Parameters
    ----------
    width
        Characters in all, the labels of the vertical axis included.
    height
        Rows between the axes.
    across, up
        Lowest and highest value of each axis; anything outside is left out.
    """

    def __init__(
        self, width: int, height: int, across: tuple[float, float], up: tuple[float, float]
    ) -> None:
        self._columns, self._rows = max(width, LEAST_WIDTH) - _LABEL - 1, height
        self._across, self._up = across, up
        self._cells = [[_BLANK] * self._columns for _ in range(height)]
        self._marks: dict[tuple[int, int], str] = {}

    def curve(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        """Draw a line of dots through points that lie close together."""
        for x, y in zip(xs, ys, strict=True):
            column = self._place(x, self._across, self._columns * _DOTS_ACROSS)
            row = self._place(y, self._up, self._rows * _DOTS_UP)
            if column is not None and row is not None:
                row = self._rows * _DOTS_UP - 1 - row
                bit = _BITS[column % _DOTS_ACROSS][row % _DOTS_UP]
                self._cells[row // _DOTS_UP][column // _DOTS_ACROSS] |= bit

    def bar(self, x: float, low: float, high: float, mark: float | None = None) -> None:
        """Draw a vertical bar from `low` to `high`, with a dot at `mark`."""
        column = self._place(x, self._across, self._columns)
        if column is None:
            return
        ends = [self._row(min(max(y, self._up[0]), self._up[1])) for y in (high, low)]
        if None not in ends:
            for row in range(int(ends[0] or 0), int(ends[1] or 0) + 1):
                self._marks.setdefault((row, column), "│")
        if mark is not None and (row_of_mark := self._row(mark)) is not None:
            self._marks[row_of_mark, column] = "●"

    def lines(self, across_labels: Sequence[tuple[float, str]]) -> list[str]:
        """Give the plot, with labels along its horizontal axis where there is room for them."""
        low, high = self._up
        shown = {0: high, self._rows // 2: (low + high) / 2, self._rows - 1: low}
        found = []
        for row, cells in enumerate(self._cells):
            label = f"{shown[row]:.2f}" if row in shown else ""
            texts = (
                self._marks.get((row, column), chr(cell) if cell != _BLANK else " ")
                for column, cell in enumerate(cells)
            )
            found.append(f"{label:>{_LABEL}}┤{''.join(texts)}".rstrip())
        found.append(" " * _LABEL + "└" + "─" * self._columns)
        found.append(self._labels(across_labels))
        return found

    def _labels(self, labels: Sequence[tuple[float, str]]) -> str:
        line = ""
        for x, label in labels:
            column = self._place(x, self._across, self._columns)
            if column is None:
                continue
            start = min(
                column + _LABEL + 1 - len(label) // 2, self._columns + _LABEL + 1 - len(label)
            )
            if start > len(line) or not line:
                line = line.ljust(max(start, 0)) + label
        return line

    def _row(self, y: float) -> int | None:
        place = self._place(y, self._up, self._rows)
        return None if place is None else self._rows - 1 - place

    @staticmethod
    def _place(value: float, ends: tuple[float, float], cells: int) -> int | None:
        low, high = ends
        if not low <= value <= high:  # NaN neither
            return None
        return min(int((value - low) / ((high - low) or 1.0) * cells), cells - 1)
