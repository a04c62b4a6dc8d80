"""The log of a run for TensorBoard: event files in the run folder."""

import importlib
import io
import json
from typing import Any

from PIL import Image

from rl3_jax.run.folder import RunFolder, RunRecord
from rl3_jax.run.logs.base import Log, Numbers


class TensorBoard(Log):
    """Event files under `tensorboard/`; lines that come again after a crash replace the old ones."""

    module = "tensorboardX"

    def __init__(self, folder: RunFolder, record: RunRecord, iteration: int):
        """Open a new event file."""
        self._library: Any = importlib.import_module(self.module)
        place = str(folder.path / "tensorboard")
        self._writer = self._library.SummaryWriter(place, purge_step=iteration + 1)
        # Markdown: four spaces make it a block of code.
        text = json.dumps(record.to_dict(), indent=2).replace("\n", "\n    ")
        self._writer.add_text("configuration", f"    {text}", iteration)

    def scalars(self, iteration: int, values: Numbers) -> None:
        """Write an event for each number."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, iteration)

    def picture(self, iteration: int, name: str, content: bytes) -> None:
        """Write the file as it is: the writer's own functions would take a GIF's first frame alone."""
        width, height = Image.open(io.BytesIO(content)).size
        kinds = importlib.import_module(f"{self.module}.proto.summary_pb2").Summary
        image = kinds.Image(encoded_image_string=content, width=width, height=height, colorspace=3)
        self._writer.file_writer.add_summary(kinds(value=[kinds.Value(tag=name, image=image)]), iteration)
        self._writer.flush()

    def close(self, *, failed: bool) -> None:
        """Close the file."""
        self._writer.close()
