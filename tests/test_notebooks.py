"""Notebooks are kept with all that they print and draw, as `make notebooks` leaves them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST = 2**20
"""Bytes; a code host shows larger ones slowly or not at all."""
MACHINE = re.compile(r"(?<![\w.:/])(?:/(?:\w[\w.-]*/)+\w|[A-Z]:\\)| at 0x[0-9a-f]+")
"""Absolute paths, and addresses in memory."""


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    assert request.param.stat().st_size < LARGEST
    return json.loads(request.param.read_text())


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def outputs_of(notebook):
    return [output for cell in code_cells(notebook) for output in cell["outputs"]]


def texts(output):
    """Yield all text of an output that people read; pictures are encoded as text, too."""
    yield from output.get("text", [])
    for kind, content in output.get("data", {}).items():
        if not kind.startswith("image/"):
            yield from content


def test_all_cells_were_executed_in_order(notebook):
    counts = [cell["execution_count"] for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_nothing_failed_or_warned(notebook):
    streams = {output["name"] for output in outputs_of(notebook) if output["output_type"] == "stream"}
    assert streams == {"stdout"}
    assert all(output["output_type"] != "error" for output in outputs_of(notebook))


def test_there_is_a_figure(notebook):
    assert any("image/png" in output.get("data", {}) for output in outputs_of(notebook))


def test_nothing_tells_of_the_machine(notebook):
    found = [text for output in outputs_of(notebook) for text in texts(output) if MACHINE.search(text)]
    assert found == []
    assert notebook["metadata"]["language_info"] == {"name": "python"}
    assert all("execution" not in cell["metadata"] for cell in code_cells(notebook))


@pytest.mark.parametrize("text", ["in /home/me/runs", "'/tmp/x'", "C:\\runs", "<Axes at 0x7f12ab>"])
def test_what_tells_of_the_machine_is_found(text):
    assert MACHINE.search(text)


@pytest.mark.parametrize("text", ["12,000 steps/s", "https://arxiv.org/abs/1611.02779", "a/b/c", "1 / 20"])
def test_other_text_does_not_tell(text):
    assert not MACHINE.search(text)


def test_make_notebooks_keeps_results_alone(tmp_path):
    pytest.importorskip("nbclient", reason="comes with the extra docs")
    pytest.importorskip("ipykernel", reason="comes with the extra docs")
    file = tmp_path / "small.ipynb"
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "execution_count": None, "outputs": []}
    cell |= {"source": ["import sys\n", "print('noise', file=sys.stderr)\n", "print(1)\n", "print(2)"]}
    file.write_text(json.dumps({"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
    command = [sys.executable, ROOT / "docs/run_notebooks.py", file]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "noise" in done.stderr
    kept = json.loads(file.read_text())
    assert kept["metadata"] == metadata
    kept_output = {"name": "stdout", "output_type": "stream", "text": ["1\n", "2\n"]}
    assert kept["cells"] == [cell | {"execution_count": 1, "outputs": [kept_output]}]
