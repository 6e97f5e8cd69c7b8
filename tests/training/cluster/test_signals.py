"""Signals during training: noted once, obeyed at once the second time."""

import signal
import threading

import pytest

from rdc_jax.training.cluster.interrupts import CONTINUE, INTERRUPTED, TERMINATED, noted_signals


def test_a_second_interrupt_acts_at_once(ctrl_c):
    with pytest.raises(KeyboardInterrupt), noted_signals() as asked:
        assert asked() == CONTINUE
        signal.raise_signal(signal.SIGINT)
        assert asked() == INTERRUPTED
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_being_terminated_counts_more_than_being_interrupted():
    with noted_signals() as asked:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert asked() == TERMINATED


def test_signals_are_left_alone_in_other_threads():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work():
        with noted_signals() as asked:
            seen.append((signal.getsignal(signal.SIGTERM), asked()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(before, CONTINUE)]
