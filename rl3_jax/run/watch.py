"""Watching a trained agent: one trial as an animation."""

import dataclasses
import functools
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from rl3_jax.errors import problems_of
from rl3_jax.run.agent import LoadedAgent, load_agent
from rl3_jax.run.arguments import OfAgent, optional
from rl3_jax.run.evaluation import asked_env, env_problems, observation_problems, task_set_problems
from rl3_jax.run.files import file_problems, write_atomically
from rl3_jax.run.film import FPS, film
from rl3_jax.run.folder import RunFolder
from rl3_jax.run.progress import tracker
from rl3_jax.training.config import MOST_TASKS
from rl3_jax.trial import TrialEnv

LEAST_FPS, LARGEST_FPS = 0.1, 50.0
"""GIF counts hundredths of a second, and viewers slow down what is faster than two of them."""


@dataclasses.dataclass(frozen=True)
class Watch(OfAgent):
    """Draw one trial of an agent as an animation (GIF), a frame a step.

    It is the trial on one of the held-out tasks that `rl3 evaluate` takes with the same seed. With --beside
    another agent acts in the same task, next to it.
    """

    variation: Annotated[str | None, optional("V", "of the task family; as trained, if not given")] = None
    seed: Annotated[int, arg(metavar="S", help="names the held-out tasks")] = 0
    task: Annotated[int, arg(metavar="N", help="which of the held-out tasks, from 0 on")] = 0
    beside: Annotated[
        str | None, optional("DIR", "run folder or name of another agent, drawn next to it")
    ] = None
    out: Annotated[
        Path | None,
        optional("FILE", "the GIF; default DIR/figures/watch-V-seedS.gif, or NAME-V-seedS.gif"),
    ] = None
    greedy: Annotated[bool, arg(help="take the likeliest action instead of a sample")] = False
    steps: Annotated[int | None, optional("N", "show the first N only")] = None
    fps: Annotated[float, arg(metavar="F", help="frames a second")] = FPS

    def file(self, env: TrialEnv) -> Path:
        """Return where the animation of a trial goes."""
        which = f"-task{self.task}" if self.task else ""
        pair = "" if self.beside is None else f"-beside-{Path(self.beside).name}"
        shown = f"{env.family.variation}-seed{self.seed}{which}{pair}.gif"
        if self.out is not None:
            return self.out
        if isinstance(self.source, LoadedAgent):
            name = Path(self.agent or self.dir or "").name.partition("@")[0]  # the last part, on the hub
            return Path(f"{name}-{shown}")
        return Path(self.dir or "") / "figures" / f"watch-{shown}"

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid."""
        found = task_set_problems(1, 2, self.seed)
        if not 0 <= self.task < MOST_TASKS:
            found.append(f"task is {self.task}; held-out tasks have the numbers 0 to {MOST_TASKS - 1}")
        if not LEAST_FPS <= self.fps <= LARGEST_FPS:
            found.append(f"fps is {self.fps:g}; it must be between {LEAST_FPS:g} and {LARGEST_FPS:g}")
        if self.steps is not None and self.steps < 1:
            found.append(f"steps is {self.steps}; at least 1 is shown")
        if self.out is not None and self.out.suffix.lower() != ".gif":
            found.append(f"out is {self.out}; an animation is a GIF, so give a name that ends in .gif")
        elif self.out is not None:
            found += file_problems(self.out)
        if unreadable := problems_of(self._read):
            return unreadable + found
        env = asked_env(self.loaded.env, self.variation)
        unfit = env_problems(env) or observation_problems(self.loaded, env)
        if self.out is None and not unfit:
            found += file_problems(self.file(env))
        if self.steps is not None and self.steps > env.horizon:
            found.append(f"steps is {self.steps}, but a trial of this agent has {env.horizon}; ask for fewer")
        return unfit + found + self._pair_problems()

    def _read(self) -> None:
        """Read the agent and what else is needed of a run; raises a `ConfigError` if that is not there."""
        if not isinstance(self.source, LoadedAgent):
            RunFolder(self.source).read()
        _ = self.loaded

    @functools.cached_property
    def _other(self) -> LoadedAgent | None:
        """The agent that acts beside it, if there is one."""
        return None if self.beside is None else load_agent(self.beside)

    def _pair_problems(self) -> list[str]:
        """Return a message if the other agent cannot act in the same trial."""
        if found := problems_of(lambda: self._other):
            return found
        if self._other is None:
            return []
        ours, theirs = (asked_env(one.env, self.variation) for one in (self.loaded, self._other))
        if (ours.family, ours.horizon) != (theirs.family, theirs.horizon):
            return [
                f"beside is {self.beside}, whose trials are {theirs.name} with {theirs.family}, but those of"
                f" this agent {ours.name} with {ours.family}; name an agent of the same family and trial"
                " length"
            ]
        return env_problems(theirs) or observation_problems(self._other, theirs)

    def run(self) -> None:
        """Watch."""
        print(f"written: {self.draw()}")

    def draw(self) -> Path:
        """Write the animation, showing progress; returns its path. The arguments are valid."""
        content, file = self.film(), self.file(asked_env(self.loaded.env, self.variation))
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, content)
        return file

    def film(self) -> bytes:
        """Return the animation as the content of a GIF, showing progress. The arguments are valid."""
        agents = [self.loaded] if self._other is None else [self.loaded, self._other]
        acting = [(asked_env(agent.env, self.variation), agent.behaviour(self.greedy)) for agent in agents]
        track = tracker("watching", visible=True)
        return film(acting, self.seed, self.task, num_steps=self.steps, fps=self.fps, track=track)
