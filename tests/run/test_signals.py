"""Stopping, also while the main thread is busy in compiled code."""

import contextvars
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from rl3_jax import cli
from rl3_jax.run.signals import StopSignals, answering
from tests.run.processes import ROOT

WORK = """
import hashlib, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # what starts in the background may ignore it
def work():
    print("busy", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 200_000_000)  # one call, without a bytecode in between
"""
BUSY = f"""{WORK}
from rl3_jax.run.signals import StopSignals
with StopSignals(lambda name: print("stopping on", name, flush=True)):
    work()
"""
ABANDONED = f"""{WORK}
from rl3_jax.run.signals import Abandoned, StopSignals, answering, end_process
with StopSignals(lambda name: print("stopping on", name, flush=True)):
    try:
        answering(work)
    except Abandoned:
        print("abandoned")
end_process(7)
"""
ENDING = f"""{WORK}
from rl3_jax.run.signals import ending_soon
with ending_soon():
    work()
"""
TRAINING = "from rl3_jax.__main__ import main; import sys; sys.exit(main())"


def start(code, *arguments):
    """Start a program, and return it once it has printed a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout.readline() in ("busy\n", "compiling\n")
    return process


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


def test_a_command_may_run_outside_the_main_thread():
    codes = []
    thread = threading.Thread(target=lambda: codes.append(cli.main(["list"])))
    thread.start()
    thread.join()
    assert codes == [0]


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
    process = start(BUSY)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "stopping on SIGINT\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30.0) == 128 + signal.SIGINT
    process.stdout.close()


def test_what_another_thread_computes_is_returned_or_raised():
    variable = contextvars.ContextVar("variable", default="outside")
    variable.set("inside")
    assert answering(variable.get) == "inside"
    assert answering(lambda: threading.current_thread() is threading.main_thread()) is False
    with pytest.raises(ZeroDivisionError):
        answering(lambda: 1 // 0)


def test_a_signal_abandons_what_another_thread_computes():
    process = start(ABANDONED)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30.0)
    assert (output, process.returncode) == ("stopping on SIGINT\nabandoned\n", 7)


def test_a_command_with_nothing_to_save_ends_soon():
    process = start(ENDING)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30.0) in (128 + signal.SIGINT, -signal.SIGINT)  # the second before it began
    process.stdout.close()


@pytest.mark.slow
def test_an_interrupt_ends_compilation_and_the_run_can_go_on(tmp_path):
    line = ["train", "gridworld-13x13-quick", "--no-compile-cache", "--out", str(tmp_path / "run")]
    process = start(TRAINING, *line)
    time.sleep(2.0)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30.0)
    assert process.returncode == 128 + signal.SIGINT
    assert f"stopped before the first iteration. Go on with: rl3 resume {tmp_path / 'run'}" in output
