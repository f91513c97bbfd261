"""The chart is an image, and its points stand where the axes say."""

from xml.etree import ElementTree

from calibration_pipeline.reports.exposure_chart import BOTTOM, LEFT, RIGHT, TOP, trade_off_chart

SVG = "{http://www.w3.org/2000/svg}"


def drawn(points, wanted=0.2):
    image = ElementTree.fromstring(trade_off_chart(points, wanted))  # noqa: S314 - our own
    dots = [(float(c.get("cx")), float(c.get("cy"))) for c in image.iter(f"{SVG}circle")]
    return image, dots


def test_points_stand_where_the_axes_say():
    image, dots = drawn([(0.1, 0.2), (0.5, 0.1), (1.0, 0.0)])
    assert dots == [
        (round(LEFT + (RIGHT - LEFT) * 0.1, 1), TOP),
        ((LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2),
        (RIGHT, BOTTOM),
    ]
    labels = ["".join(text.itertext()) for text in image.iter(f"{SVG}text")]
    assert {"0%", "5%", "20%", "100%", "maximum 20.0%"} <= set(labels)
    image, _ = drawn([(0.5, 0.009), (1.0, 0.0)])
    assert "0.5%" in {"".join(text.itertext()) for text in image.iter(f"{SVG}text")}


def test_the_label_of_a_high_maximum_stays_within_the_image():
    image, _ = drawn([(0.95, 0.1), (1.0, 0.0)], wanted=0.95)
    (label,) = (
        text for text in image.iter(f"{SVG}text") if "maximum 95" in "".join(text.itertext())
    )
    assert label.get("text-anchor") == "end"


def test_nothing_lost_is_drawn_too():
    _, dots = drawn([(0.5, -0.001), (1.0, 0.0)])
    assert {y for _, y in dots} == {BOTTOM}
