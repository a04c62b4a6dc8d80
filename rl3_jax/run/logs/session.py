"""The logs of a run while it trains: what they are sent, and what becomes of one that fails."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from rl3_jax.errors import ConfigError, unknown_choice
from rl3_jax.extras import extra_problems
from rl3_jax.run.folder import RunFolder, RunRecord
from rl3_jax.run.logs.base import Log
from rl3_jax.run.logs.pictures import Pictures
from rl3_jax.run.logs.tensorboard import TensorBoard
from rl3_jax.run.logs.trackio import Trackio
from rl3_jax.run.logs.weights_and_biases import WeightsAndBiases
from rl3_jax.training import TrainState

LOGS: dict[str, type[Log]] = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases, "trackio": Trackio}
"""By name, which is also that of the extra."""


def log_problems(names: Sequence[str]) -> list[str]:
    """Return a message for each name of no log, or of one that could not start."""
    found = []
    for name in names:
        if name not in LOGS:
            found.append(unknown_choice("logger", name, list(LOGS)))
        else:
            found += extra_problems(f"--log {name}", LOGS[name].module, name) or LOGS[name].problems()
    return found


class Session(contextlib.AbstractContextManager["Session"]):
    """All logs of a run, open within a `with` block, each left alone from its first error on."""

    def __init__(
        self,
        folder: RunFolder,
        record: RunRecord,
        iteration: int,
        *,
        share: float,
        warn: Callable[[str], object],
    ):
        """Open the logs of a run of which so many iterations are done.

        `share` of the time may go into pictures of a kind, and `warn` tells users of errors. Raises a
        `ConfigError` if a log cannot start.
        """
        self._open: dict[str, Log] = {}
        self._warn = warn
        self._pictures = Pictures(folder, record.config, share)
        for name in record.log:
            try:
                self._open[name] = LOGS[name](folder, record, iteration)
            except Exception as error:
                self._close(failed=True)
                raise ConfigError(
                    f"--log {name} cannot start: {_said(error)}; train without it, or mend it and try again"
                ) from error

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """Close all logs; an error has ended the run if there is one."""
        self._close(failed=error is not None)

    def scalars(self, rows: Sequence[dict[str, Any]]) -> None:
        """Send lines of metrics."""
        for row in rows if self._open else ():
            values = {k: v for k, v in row.items() if k != "iteration" and v is not None}
            self._each(lambda log, row=row, values=values: log.scalars(row["iteration"], values))

    def pictures(self, state: TrainState, found: dict[str, Any], *, last: bool) -> None:
        """Draw and send what is worth its time now, after an evaluation with this entry of a result file."""
        if not self._open:
            return
        iteration = int(state.iteration)
        try:
            for name, content in self._pictures.due(state, found, last=last):
                self._each(lambda log, name=name, content=content: log.picture(iteration, name, content))
        except Exception as error:  # of a user's own family, say
            self._warn(f"no more pictures are drawn for --log: {_said(error)}")
            self._pictures.stop()

    def _close(self, *, failed: bool) -> None:
        """Close all that have not failed."""
        self._each(lambda log: log.close(failed=failed))
        self._open.clear()

    def _each(self, send: Callable[[Log], object]) -> None:
        """Do something with each log, and give up those that fail: training is worth more than its log."""
        for name, log in list(self._open.items()):
            try:
                send(log)
            except Exception as error:
                del self._open[name]
                self._warn(
                    f"--log {name} failed, and gets no more of this run, which goes on"
                    f" (metrics.jsonl has everything): {_said(error)}"
                )
                with contextlib.suppress(Exception):  # that it fails has been said
                    log.close(failed=True)


def _said(error: Exception) -> str:
    """Return what an error says, in one line."""
    return ": ".join([type(error).__name__, *filter(None, [" ".join(str(error).split())])])
