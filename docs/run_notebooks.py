"""Execute notebooks in place, so that a code host shows their outputs: `make notebooks`.

`jupyter execute --inplace` would store when each cell ran, and the version of Python, too: what differs each
time, in each diff.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

LONGEST_CELL = 1800
"""Seconds; on a busy machine a training takes some minutes."""


def main() -> None:
    """Execute those named on the command line, one after another."""
    for path in map(Path, sys.argv[1:]):
        print(path, flush=True)
        notebook = nbformat.read(path, as_version=4)
        metadata = dict(notebook.metadata)
        where = {"metadata": {"path": path.parent}}
        how = {"record_timing": False, "coalesce_streams": True, "timeout": LONGEST_CELL}
        NotebookClient(notebook, resources=where, **how).execute()
        notebook.metadata = metadata
        for cell in notebook.cells:
            drop_errors(cell)
        nbformat.write(notebook, path)


def drop_errors(cell: NotebookNode) -> None:
    """Print what a cell wrote to the error stream, such as warnings about this machine, and forget it."""
    for output in cell.get("outputs", []):
        if output.get("name") == "stderr":
            print(output.text, file=sys.stderr)
    if cell.cell_type == "code":
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]


if __name__ == "__main__":
    main()
