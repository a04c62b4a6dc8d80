"""Watching a trained agent: one trial as an animation."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import arg

from rl3_jax.errors import ConfigError
from rl3_jax.presets import method_name
from rl3_jax.run.agent import LoadedAgent, load_agent
from rl3_jax.run.arguments import RunDir, Shared, optional
from rl3_jax.run.compile_cache import compile_cache
from rl3_jax.run.evaluation import asked_env, env_problems, observation_problems, task_set_problems
from rl3_jax.run.files import write_atomically, writing_problems
from rl3_jax.run.folder import RunFolder
from rl3_jax.run.progress import tracker
from rl3_jax.trial import TrialEnv

LEAST_FPS, LARGEST_FPS = 0.1, 50.0
"""GIF counts hundredths of a second, and viewers slow down what is faster than two of them."""


@dataclasses.dataclass(frozen=True)
class Watch(Shared):
    """Draw one trial of a run's agent as an animation (GIF), a frame a step.

    It is the trial on the first of the held-out tasks that `rl3 evaluate` takes with the same seed.
    """

    dir: RunDir
    variation: Annotated[str | None, optional("V", "of the task family; as trained, if not given")] = None
    seed: Annotated[int, arg(metavar="S", help="names the held-out tasks, of which the first is shown")] = 0
    out: Annotated[Path | None, optional("FILE", "the GIF; default DIR/figures/watch-V-seedS.gif")] = None
    greedy: Annotated[bool, arg(help="take the likeliest action instead of a sample")] = False
    steps: Annotated[int | None, optional("N", "show the first N only")] = None
    fps: Annotated[float, arg(metavar="F", help="frames a second")] = 10.0

    def file(self, env: TrialEnv) -> Path:
        """Return where the animation of a trial goes."""
        name = f"watch-{env.family.variation}-seed{self.seed}.gif"
        return self.out or self.dir / "figures" / name

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid."""
        found = task_set_problems(1, 2, self.seed)
        if not LEAST_FPS <= self.fps <= LARGEST_FPS:
            found.append(f"fps is {self.fps:g}; it must be between {LEAST_FPS:g} and {LARGEST_FPS:g}")
        if self.steps is not None and self.steps < 1:
            found.append(f"steps is {self.steps}; at least 1 is shown")
        if self.out is not None:
            found += _file_problems(self.out)
        try:
            RunFolder(self.dir).read()
            agent = load_agent(self.dir)
        except ConfigError as error:
            return [*error.problems, *found]
        return self._run_problems(agent) + found

    def _run_problems(self, agent: LoadedAgent) -> list[str]:
        """Return a message for each argument that does not fit the run."""
        env = asked_env(agent.env, self.variation)
        found = env_problems(env) or observation_problems(agent, env)
        if self.out is None and not found:
            found += _file_problems(self.file(env))
        if self.steps is not None and self.steps > env.horizon:
            found.append(f"steps is {self.steps}, but a trial of this run has {env.horizon}; ask for fewer")
        return found

    def run(self) -> None:
        """Watch."""
        print(f"written: {_watch(self, progress=True)}")


@compile_cache()
def watch(path: str | Path, *, progress: bool = False, **options: Any) -> Path:
    """Write an animation (GIF) of one trial of a run's agent; returns its path.

    Args:
      path: the run folder.
      progress: show it.
      **options: fields of `Watch`, e.g. `seed=3` or `variation="ood"`.

    Raises:
      ConfigError: if this is no run with an agent, or listing every argument that is not valid.
    """
    if options.get("out") is not None:
        options["out"] = Path(options["out"])
    asked = Watch(dir=Path(path), **options)
    if problems := asked.problems():
        raise ConfigError(problems)
    return _watch(asked, progress=progress)


def _watch(asked: Watch, *, progress: bool) -> Path:
    """Write the animation that is asked for, with valid arguments; returns its path."""
    config = RunFolder(asked.dir).read().config
    agent = load_agent(asked.dir)
    env = asked_env(agent.env, asked.variation)
    num_steps = asked.steps or env.horizon
    # The bar stands from here on; its first item is the recording, which compiles.
    steps = iter(tracker("watching", visible=progress)(range(-1, num_steps)))
    next(steps)
    # Imported here since matplotlib is slow to import, and only this draws.
    from rl3_jax.report.animation import animate
    from rl3_jax.run.recording import record
    from rl3_jax.run.scenes import Trial, make_scene

    task, recording = record(env, agent.behaviour(asked.greedy), asked.seed)
    how = " greedy" if asked.greedy else ""
    name = f"{env.family.name}   {method_name(config)} {config.policy.core.core}{how}   task {asked.seed}"
    scene = make_scene(Trial(env, task, agent.policy.distribution, recording, name))
    content = animate(scene, steps, num_steps, asked.fps)
    file = asked.file(env)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, content)
    return file


def _file_problems(path: Path) -> list[str]:
    """Return a message for each reason why an animation cannot be written to a file."""
    if path.suffix.lower() != ".gif":
        return [f"out is {path}; an animation is a GIF, so give a name that ends in .gif"]
    if path.is_dir():
        return [f"cannot write {path}: it is a folder"]
    return writing_problems(path)
