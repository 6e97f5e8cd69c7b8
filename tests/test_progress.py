"""A bar appears on a terminal for work that is expected to take two seconds, and nowhere else."""

import io
import sys
import time

import pytest

from rdc_jax import progress


class Clock:
    """Time that passes when it is told to."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def terminal(monkeypatch, isatty=True):
    """Standard error from now on; not a fixture, because pytest sets it before each test."""
    screen = io.StringIO()
    screen.isatty = lambda: isatty
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


def work(clock, seconds, parts=8):
    """What is on the screen after each part of the work."""
    with progress.reporting(True, "decode") as report:
        for part in range(parts):
            clock.now += seconds / parts
            report((part + 1) / parts)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.5, False), (1.9, False), (2.1, True), (60, True)]
)
def test_a_bar_appears_for_long_work_only(seconds, shown, monkeypatch):
    screen = terminal(monkeypatch)
    work(Clock(monkeypatch), seconds)
    assert ("decode:  12%" in screen.getvalue()) is shown  # from the first of eight parts on
    assert shown or screen.getvalue() == ""
    assert "\n" not in screen.getvalue()  # nothing of it stays


def test_work_that_slows_down_gets_its_bar_late(monkeypatch):
    screen, clock = terminal(monkeypatch), Clock(monkeypatch)
    with progress.reporting(True, "encode") as report:
        clock.now += 0.1
        report(0.5)
        assert screen.getvalue() == ""
        clock.now += 9
        report(0.6)
        assert "encode:  60%" in screen.getvalue() and "left" in screen.getvalue()


def test_no_bar_in_a_pipe_or_if_it_is_not_wanted(monkeypatch):
    clock, screen = Clock(monkeypatch), terminal(monkeypatch)
    with progress.reporting(False, "decode") as report:
        clock.now += 60
        report(0.1)
    assert screen.getvalue() == ""
    pipe = terminal(monkeypatch, isatty=False)
    work(clock, 60)
    assert pipe.getvalue() == ""


def test_a_function_gets_the_shares_and_may_stop_the_work():
    seen = []
    with progress.reporting(seen.append, "decode") as report:
        report(0.25)
        report(1.0)
    assert seen == [0.25, 1.0]


def test_the_bar_goes_when_the_work_fails(monkeypatch):
    screen, clock = terminal(monkeypatch), Clock(monkeypatch)
    with pytest.raises(ValueError), progress.reporting(True, "decode") as report:
        clock.now += 5
        report(0.1)
        raise ValueError
    assert screen.getvalue().endswith("\r")
