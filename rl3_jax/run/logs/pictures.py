"""What logs show at evaluations beside numbers: how a run learns, and one trial of its agent."""

import dataclasses
import io
import time
from collections.abc import Iterator
from typing import Any

from rl3_jax.run import hosts, metrics
from rl3_jax.run.film import film
from rl3_jax.run.folder import RunFolder
from rl3_jax.training import TrainConfig, TrainState, agent_of, serialise

SHARE = 0.03
"""Of the time of training, what pictures of one kind may take, beside those of the last evaluation."""
MOST_FRAMES = 100
"""Of an animation; of a longer trial every second or third step is shown, and so on."""
FIRST_SECONDS = {"learning": 2.0, "trial": 20.0}
"""What the first picture of each kind is expected to take, which loads libraries and compiles."""


@dataclasses.dataclass
class Cost:
    """The seconds that pictures of a kind have taken, and that the next is expected to take."""

    next: float
    spent: float = 0.0


class Pictures:
    """Draws the pictures of a run when they are due."""

    def __init__(self, folder: RunFolder, config: TrainConfig, share: float):
        """Begin to count the time."""
        self._folder, self._config, self._share = folder, config, share
        self._costs = {name: Cost(seconds) for name, seconds in FIRST_SECONDS.items()}
        self._began = time.perf_counter()

    def stop(self) -> None:
        """Draw nothing any more."""
        self._costs.clear()

    def due(self, state: TrainState, found: dict[str, Any], *, last: bool) -> Iterator[tuple[str, bytes]]:
        """Yield the name and content of each picture that is worth its time, all at the last evaluation.

        `found` is the entry of a result file that the evaluation of `state` gave.
        """
        for name, cost in self._costs.items():
            began = time.perf_counter()
            if not last and cost.spent + cost.next > self._share * (began - self._began):
                continue
            content = self._learning(found) if name == "learning" else self._trial(state)
            cost.next = time.perf_counter() - began
            cost.spent += cost.next
            yield name, content

    def _learning(self, found: dict[str, Any]) -> bytes:
        """Return learning curve and rewards within held-out trials, as a PNG."""
        # Imported here since matplotlib is slow to import, and only this draws.
        from rl3_jax.report.agents import Source
        from rl3_jax.report.page import draw_comparison

        config, name = self._config, self._folder.path.resolve().name
        header = {
            "family": config.task.family,
            "variation": config.task.variation,
            "task": serialise.to_dict(config.task),
            "horizon": config.horizon,
            "num_tasks": config.evaluation.num_tasks,
            "results": [found],
        }
        file = io.BytesIO()
        lines = metrics.read(self._folder.metrics)
        draw_comparison([Source(str(self._folder.path), [header], name, {}, lines)], [], file)
        return file.getvalue()

    def _trial(self, state: TrainState) -> bytes:
        """Return the agent's trial on the first of the held-out tasks, as a GIF."""
        agent = hosts.own(agent_of(self._config, state))
        return film([(self._config.env, agent)], self._config.evaluation.seed, most_frames=MOST_FRAMES)
