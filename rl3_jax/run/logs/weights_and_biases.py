"""The log of a run for Weights & Biases."""

import importlib
import io
import os
import time
from typing import Any

from PIL import Image

from rl3_jax.run.folder import RunFolder, RunRecord
from rl3_jax.run.logs.base import PROJECT, Log, Numbers, group_name, is_gif, recall, remember

NAME = "wandb"
WAITS = (0.1, 0.3, 1.0, 3.0)
"""Seconds; for so long in all, its service may hold a run that this process has just ended."""
WITHOUT = "WANDB_MODE=offline logs to the run folder alone, and `wandb sync` uploads it later"


class WeightsAndBiases(Log):
    """A run of Weights & Biases. At its start the service's environment variables say where it goes.

    A resumed run goes on as what the run folder names, which also has its id.
    """

    module = "wandb"

    @classmethod
    def problems(cls) -> list[str]:
        """Return a message if nobody is logged in; no service is asked."""
        wandb: Any = importlib.import_module(cls.module)
        try:
            # Its own settings are those of the first call in this process.
            mode = wandb.Settings(mode=os.environ.get("WANDB_MODE") or wandb.setup().settings.mode).mode
            if mode in ("offline", "dryrun", "disabled") or wandb.login(prompt=False, verify=False):
                return []
        except (wandb.Error, ValueError) as error:  # pydantic's, of settings that are not valid
            return [f"--log wandb cannot start: {' '.join(str(error).split())}; {WITHOUT}"]
        return [f"--log wandb needs you to log in: `wandb login`, or set WANDB_API_KEY; {WITHOUT}"]

    def __init__(self, folder: RunFolder, record: RunRecord, iteration: int):
        """Start the run, or go on with the one that the run folder names."""
        wandb: Any = importlib.import_module(self.module)
        known_by = recall(folder, NAME) or {
            "id": record.run_id,
            "project": os.environ.get("WANDB_PROJECT") or PROJECT,
            "entity": os.environ.get("WANDB_ENTITY") or None,
            "name": os.environ.get("WANDB_NAME") or folder.path.resolve().name,
            "group": os.environ.get("WANDB_RUN_GROUP") or group_name(record.config),
        }
        self._run = _start(
            wandb,
            **known_by,
            mode=os.environ.get("WANDB_MODE") or None,
            dir=os.environ.get("WANDB_DIR") or str(folder.path),
            config=record.to_dict(),
            resume="allow",
            reinit="create_new",  # beside those of other seeds, in one process
        )
        found = {"project": self._run.project, "entity": self._run.entity}
        remember(folder, NAME, known_by | {name: value for name, value in found.items() if value})
        self._image, self._video = wandb.Image, wandb.Video

    def scalars(self, iteration: int, values: Numbers) -> None:
        """Send the numbers, unless they were sent before a crash."""
        if iteration >= self._run.step:
            self._run.log(values, step=iteration)

    def picture(self, iteration: int, name: str, content: bytes) -> None:
        """Send it beside the numbers of its iteration."""
        file = io.BytesIO(content)
        media = self._video(file, format="gif") if is_gif(content) else self._image(Image.open(file))
        self._run.log({name: media}, step=iteration)

    def close(self, *, failed: bool) -> None:
        """Wait until everything is sent, or written."""
        self._run.finish(exit_code=int(failed))


def _start(wandb: Any, **options: Any) -> Any:
    """Return a run that is started, waiting while the service still holds it from before."""
    for seconds in WAITS:
        try:
            return wandb.init(**options)
        except Exception as error:
            if "is in use" not in str(error):
                raise
            time.sleep(seconds)
    return wandb.init(**options)
