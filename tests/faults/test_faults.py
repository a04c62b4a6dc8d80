"""No fault of a disk, and no damage to files, costs more than a message."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.fuzz import fuzz
from tests.run.processes import ROOT

COMPILER = shutil.which("cc")


@pytest.mark.skipif(sys.platform != "linux" or not COMPILER, reason="needs Linux and a C compiler")
@pytest.mark.parametrize("every", [40, pytest.param(1, marks=pytest.mark.slow)])
def test_each_file_operation_may_fail(tmp_path, every):
    library, source = tmp_path / "injector.so", Path(__file__).with_name("injector.c")
    subprocess.run(
        [COMPILER, "-shared", "-fPIC", "-Wall", "-Werror", source, "-o", library, "-ldl"], check=True
    )
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.drive", library, str(every)],
        env=os.environ | {"LD_PRELOAD": str(library), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(" 0 wrong") == 4 * 6


@pytest.mark.parametrize(("cases", "seed"), [(60, 0), pytest.param(2000, 1, marks=pytest.mark.slow)])
def test_damaged_files_of_a_run_folder_are_noticed(cases, seed, capfd):
    assert fuzz(cases, seed) == 0, capfd.readouterr().out
