"""Plots in characters."""

from calibration_pipeline.interfaces.cli.terminal_plot import TerminalPlot


def drawn(plot: TerminalPlot) -> list[str]:
    return plot.lines([(0.0, "0"), (1.0, "1")])


def test_a_curve_rises_from_left_to_right() -> None:
    plot = TerminalPlot(40, 8, (0.0, 1.0), (0.0, 1.0))
    points = [n / 200 for n in range(201)]
    plot.curve(points, points)
    rows = drawn(plot)[:8]
    first = [next(n for n, c in enumerate(row[8:]) if c.strip()) for row in rows]
    assert first == sorted(first, reverse=True)
    assert first[-1] == 0


def test_a_bar_reaches_from_its_low_to_its_high_end_with_its_mark_between() -> None:
    plot = TerminalPlot(40, 10, (0.0, 1.0), (0.0, 10.0))
    plot.bar(0.5, 2.0, 7.5, 4.5)
    column = [row[8 + 16] if len(row) > 24 else " " for row in drawn(plot)[:10]]
    assert "".join(column) == "  │││●││  "


def test_what_lies_outside_is_left_out_and_a_bar_is_cut_at_the_edge() -> None:
    plot = TerminalPlot(40, 4, (0.0, 1.0), (0.0, 1.0))
    plot.curve([2.0, float("nan"), 0.5], [0.5, 0.5, 9.0])
    plot.bar(3.0, 0.0, 1.0)
    plot.bar(0.0, -5.0, 5.0, 7.0)
    text = "\n".join(drawn(plot))
    assert text.count("│") == 4
    assert "●" not in text


def test_no_line_is_wider_than_asked_and_labels_do_not_touch() -> None:
    plot = TerminalPlot(34, 5, (0.0, 10.0), (-1.25, 2.5))
    lines = plot.lines([(0, "01-01"), (1, "01-02"), (5, "01-06"), (10, "01-11")])
    assert max(map(len, lines)) <= 34
    assert lines[-1].split() == ["01-01", "01-06", "01-11"]
    assert "2.50┤" in lines[0]
    assert "-1.25┤" in lines[4]
