"""Stopping, also while the main thread is busy in compiled code."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from rl3_jax.run.signals import StopSignals
from tests.run.processes import ROOT

BUSY = """
import hashlib
from rl3_jax.run.signals import StopSignals
with StopSignals(lambda name: print("stopping on", name, flush=True)):
    print("busy", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 200_000_000)  # one call, without a bytecode in between
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_sets_a_flag_and_is_given_back(signum):
    before = signal.getsignal(signum)
    said = []
    with StopSignals(said.append) as stop:
        assert stop.signum is None
        os.kill(os.getpid(), signum)
        os.kill(os.getpid(), signum)
        assert stop.signum == signum
    assert said == [signum.name]
    assert signal.getsignal(signum) is before


def test_outside_the_main_thread_signals_are_left_alone():
    before = signal.getsignal(signal.SIGINT)
    during = []

    def work():
        with StopSignals(during.append):
            during.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert during == [before]


@pytest.mark.slow
def test_a_second_interrupt_ends_a_busy_process_at_once():
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "busy\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "stopping on SIGINT\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=5.0) == 128 + signal.SIGINT
    process.stdout.close()
