"""The log of a run for Trackio: a database on this machine, or a space of the Hugging Face hub."""

import contextlib
import contextvars
import importlib
import io
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from rl3_jax.run.folder import RunFolder, RunRecord
from rl3_jax.run.logs.base import PROJECT, Log, Numbers, group_name, is_gif, recall, remember

NAME = "trackio"
SPACE = "TRACKIO_SPACE_ID"


class Trackio(Log):
    """A run of Trackio on this machine, unless the environment names a space; it goes on after a resume.

    Lines that come again after a crash are there twice, with the same results.
    """

    module = "trackio"

    @classmethod
    def problems(cls) -> list[str]:
        """Return a message if a space is asked for and nobody is logged in; no service is asked."""
        if not os.environ.get(SPACE) or importlib.import_module("huggingface_hub").get_token():
            return []
        return [
            f"--log trackio needs you to log in, as {SPACE} is set: `hf auth login`, or set HF_TOKEN;"
            f" without {SPACE} it logs on this machine"
        ]

    def __init__(self, folder: RunFolder, record: RunRecord, iteration: int):
        """Start the run, or go on with the one that the run folder names."""
        self._trackio: Any = importlib.import_module(self.module)
        # Trackio knows a run by its name: two folders of one name are two runs.
        known_by = recall(folder, NAME) or {
            "project": os.environ.get("TRACKIO_PROJECT") or PROJECT,
            "name": f"{folder.path.resolve().name}-{record.run_id[:6]}",
            "space_id": os.environ.get(SPACE) or None,
        }
        # A context of its own: in a common one, the run of another seed would be ended.
        self._context = contextvars.Context()
        options = known_by | {"group": group_name(record.config), "config": record.to_dict()}
        self._run: Any = self._call(lambda: self._trackio.init(**options, resume="allow", embed=False))
        remember(folder, NAME, known_by)

    def scalars(self, iteration: int, values: Numbers) -> None:
        """Send the numbers."""
        self._call(lambda: self._run.log(values, step=iteration))

    def picture(self, iteration: int, name: str, content: bytes) -> None:
        """Send it beside the numbers of its iteration."""
        if not is_gif(content):
            image = self._trackio.Image(Image.open(io.BytesIO(content)))
            self._call(lambda: self._run.log({name: image}, step=iteration))
            return
        with tempfile.TemporaryDirectory() as folder:  # it copies the file
            file = Path(folder) / f"{name}.gif"
            file.write_bytes(content)
            self._call(lambda: self._run.log({name: self._trackio.Video(str(file))}, step=iteration))

    def close(self, *, failed: bool) -> None:
        """Wait until everything is sent, or written."""
        self._call(self._run.finish)

    def _call(self, what: Callable[[], Any]) -> Any:
        """Call Trackio; what it prints goes to the error stream, as all that is no result."""
        with contextlib.redirect_stdout(sys.stderr):
            return self._context.run(what)
