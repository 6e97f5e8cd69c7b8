"""Bjontegaard differences: published fixtures, closed forms, refusals."""

import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.rate_distortion import bd_metric, bd_rate, monotone_part

# FAU-LMS, package `bjontegaard`; rates in kbit/s, PSNR in dB.
FAU_ANCHOR = ([9487.76, 4593.60, 2486.44, 1358.24], [40.037, 38.615, 36.845, 34.851])
FAU_TEST = ([9787.80, 4469.00, 2451.52, 1356.24], [40.121, 38.651, 36.970, 34.987])
# shengbinmeng/Bjontegaard_metric.
MENG_ANCHOR = ([686.76, 309.58, 157.11, 85.95], [40.28, 37.18, 34.24, 31.42])
MENG_TEST = ([893.34, 407.8, 204.93, 112.75], [40.39, 37.21, 34.17, 31.24])


@pytest.mark.parametrize(
    ("anchor", "test", "method", "expected"),
    [
        (FAU_ANCHOR, FAU_TEST, "cubic", -4.420463),
        (FAU_ANCHOR, FAU_TEST, "pchip", -4.417485),
        (MENG_ANCHOR, MENG_TEST, "cubic", 31.39737),
        (MENG_ANCHOR, MENG_TEST, "pchip", 31.37988),
    ],
)
def test_published_values(anchor, test, method, expected):
    assert bd_rate(anchor, test, method).value == pytest.approx(expected, abs=1e-4)


def test_interval_is_the_overlap():
    result = bd_rate(FAU_ANCHOR, FAU_TEST)
    assert (result.low, result.high) == (34.987, 40.037)
    result = bd_metric(FAU_ANCHOR, FAU_TEST)
    assert (result.low, result.high) == (1358.24, 9487.76)


@pytest.mark.parametrize("method", ["pchip", "cubic", "akima"])
def test_a_constant_ratio_and_a_constant_gain(method):
    rates = np.array([0.1, 0.2, 0.45, 0.8, 1.5])
    quality = 30 + 4 * np.log(rates)
    assert bd_rate((rates, quality), (0.75 * rates, quality), method).value == pytest.approx(-25)
    assert bd_metric((rates, quality), (rates, quality + 1.5), method).value == pytest.approx(1.5)


def test_order_of_points_does_not_matter():
    shuffled = tuple(np.array(values)[[2, 0, 3, 1]] for values in FAU_TEST)
    assert bd_rate(FAU_ANCHOR, shuffled) == bd_rate(FAU_ANCHOR, FAU_TEST)


def test_window_counts_only_rates_inside_it():
    rates = np.geomspace(0.05, 2.0, 400)
    quality = 30 + 4 * np.log(rates)
    # The test needs 80 % of the rate up to 26 dB and 50 % from 28 dB on.
    ratio = np.exp(np.interp(quality, [26, 28], np.log([0.8, 0.5])))
    anchor, test = (rates, quality), (ratio * rates, quality)
    low = bd_rate(anchor, test, rate_window=(0.06, 0.25))
    # Both curves inside the window: the test's .06 at the low end, the anchor's .25 at the high.
    assert low.low == pytest.approx(30 + 4 * np.log(0.06 / 0.8), abs=1e-6)
    assert low.high == pytest.approx(30 + 4 * np.log(0.25), abs=1e-6)
    assert bd_rate(anchor, test, rate_window=(0.06, 0.36)).value == pytest.approx(-20, abs=1e-6)
    assert bd_rate(anchor, test, rate_window=(0.4, 1.5)).value == pytest.approx(-50, abs=1e-6)


def test_window_wider_than_the_curves_changes_nothing():
    assert bd_rate(FAU_ANCHOR, FAU_TEST, rate_window=(1, 1e6)) == bd_rate(FAU_ANCHOR, FAU_TEST)
    wide = bd_metric(FAU_ANCHOR, FAU_TEST, rate_window=(1, 1e6))
    assert wide == bd_metric(FAU_ANCHOR, FAU_TEST)


def test_curves_that_do_not_meet_are_refused():
    low = ([1, 2, 3, 4], [20, 21, 22, 23])
    high = ([1, 2, 3, 4], [30, 31, 32, 33])
    with pytest.raises(RdcError, match="no common quality"):
        bd_rate(low, high)
    with pytest.raises(RdcError, match="no common rate"):
        bd_metric(low, ([5, 6, 7, 8], [20, 21, 22, 23]))
    with pytest.raises(RdcError, match="no rate inside"):
        bd_rate(low, low, rate_window=(10, 20))


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        (([1, 2, 3, 4], [20, 22, 21, 23]), "must rise"),
        (([1, 2, 3, 3], [20, 21, 22, 23]), "must rise"),
        (([0, 1, 2, 3], [20, 21, 22, 23]), "positive"),
        (([1, 2, 3, 4], [20, 21, 22, np.inf]), "finite"),
        (([1, 2, 3], [20, 21, 22, 23]), "differ"),
        (([1], [20]), "needs 2 points or more, not 1"),
        (([], []), "needs 2 points or more, not 0"),
        (([1, np.nan], [20, 21]), "finite"),
        ((["one", 2], [20, 21]), "two lists of numbers"),
        (([1, None], [20, 21]), "finite"),
        (([1, 2], [20, 21], [3, 4]), "two lists of numbers"),
        ((1, 20), "differ"),
        (None, "two lists of numbers"),
    ],
)
def test_curves_that_are_no_curves_are_refused(curve, message):
    with pytest.raises(RdcError, match=message):
        bd_rate(curve, FAU_TEST)


@pytest.mark.parametrize("window", [(0, 1), (2, 1), (1, 1), (np.nan, 1), (1, np.nan), (1,), 3])
def test_windows_without_width_are_refused(window):
    for difference in (bd_rate, bd_metric):
        with pytest.raises(RdcError, match="rate_window must be two increasing rates"):
            difference(FAU_ANCHOR, FAU_TEST, rate_window=window)


def test_methods_ask_for_enough_points_and_a_known_name():
    two = ([1, 2], [20, 21])
    assert bd_rate(two, two).value == pytest.approx(0.0)
    with pytest.raises(RdcError, match="cubic needs 4"):
        bd_rate(two, two, "cubic")
    with pytest.raises(RdcError, match="unknown method"):
        bd_rate(two, two, "spline")


def test_monotone_part_keeps_what_pays():
    rates, qualities = monotone_part([3, 1, 2, 2, 4], [33, 30, 31, 32, 32.5])
    assert rates == [1, 2, 3]
    assert qualities == [30, 32, 33]


def test_monotone_part_drops_what_is_not_finite():
    rates, qualities = monotone_part([1, 2, 3, np.nan], [30, np.nan, np.inf, 34])
    assert (rates, qualities) == ([1], [30])
    with pytest.raises(RdcError, match="the numbers of rates and qualities differ"):
        monotone_part([1, 2], [30])
