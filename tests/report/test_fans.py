from stablereward.report.axes import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH
from stablereward.report.fans import fan_chart, frame_of, readout
from stablereward.report.recorded import Spread

from .reading import Reader

EVEN = Spread(1, 9, 4.0, (0, 1, 2, 3, 4, 5, 6, 7, 8))
WIDE = Spread(3, 9, 6.0, (0, 2, 4, 6, 8, 10, 12, 14, 20))


def test_bands_and_lines_are_where_their_quantiles_are():
    read = Reader(fan_chart([EVEN, WIDE], title="Length", unit="tokens"))
    left, right, foot = f"{LEFT:.1f}", f"{WIDTH - RIGHT:.1f}", HEIGHT - BOTTOM

    def y(value: float) -> str:
        return f"{foot - value / 20 * (foot - TOP):.1f}"

    bands = [band["d"] for band in read.named("path", "band")]
    assert bands[0] == f"M{left} {y(8)}L{right} {y(20)}L{right} {y(0)}L{left} {y(0)}Z"
    assert bands[1] == f"M{left} {y(6)}L{right} {y(12)}L{right} {y(4)}L{left} {y(2)}Z"
    assert bands[2] == f"M{left} {y(5)}L{right} {y(10)}L{right} {y(6)}L{left} {y(3)}Z"
    lines = {line["data-name"]: line["d"] for line in read.named("path", "line")}
    assert lines["median"] == f"M{left} {y(4)}L{right} {y(8)}"
    assert lines["mean"] == f"M{left} {y(4)}L{right} {y(6)}"
    assert read.named("svg")[0]["aria-label"] == "Length: median 4 → 8"


def test_outliers_bend_the_axis_and_stay_inside():
    calm = (-3e-2, -2e-2, -1e-2, -5e-3, 0, 5e-3, 1e-2, 2e-2, 3e-2)
    spreads = [Spread(i, 9, 0.0, calm if i != 5 else (*calm[:8], 1e3)) for i in range(20)]
    frame, ticks = frame_of([spreads])
    assert frame.bend == 0.01
    assert (frame.y0, frame.y1) == (-0.03, 1e3)
    assert 0 in ticks and 1e3 in ticks
    assert frame_of([spreads[:5]])[0].bend == 0.0


def test_several_fans_have_one_frame():
    frame, _ = frame_of([[EVEN], [WIDE]])
    assert (frame.x0, frame.x1, frame.y0, frame.y1) == (1, 3, 0, 20)


def test_the_figures_of_an_update_are_said():
    rounding = Spread(1, 9, 1e-17, EVEN.quantiles)
    assert Reader(readout(EVEN)).text == "smallest 0median 4largest 85 % 2mean 495 % 6"
    assert "mean 0" in Reader(readout(rounding)).text


def test_extreme_values_make_finite_coordinates():
    for quantiles in ((-1e299, *[0.0] * 7, 1e299), (*[1e-310] * 8, 1e299), (5.0,) * 9):
        chart = fan_chart([Spread(1, 1, 0.0, quantiles)], title="x")
        assert "nan" not in chart and "inf" not in chart
