"""One trial of an agent as an animation."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rl3_jax.presets import method_name
from rl3_jax.training import Agent
from rl3_jax.trial import TrialEnv

if TYPE_CHECKING:
    from rl3_jax.report.scenes import Trial

FPS = 10.0
"""Frames a second, unless others are asked for."""


def film(
    acting: Sequence[tuple[TrialEnv, Agent]],
    seed: int = 0,
    task: int = 0,
    *,
    num_steps: int | None = None,
    fps: float = FPS,
    most_frames: int | None = None,
    track: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> bytes:
    """Return a GIF of the trial that evaluation runs on a held-out task, of one agent or two side by side.

    Args:
      acting: each agent, with its trial; those of two are of the same family and length.
      seed: names the held-out tasks.
      task: which of them, from 0 on.
      num_steps: show the first of its steps only.
      fps: frames a second.
      most_frames: if the steps are more, show every second, or third, and so on.
      track: shows the progress of a loop.
    """
    length = num_steps or acting[0][0].horizon
    shown = range(0, length, math.ceil(length / (most_frames or length)))
    # The loop begins here; its first item is the recording, which compiles.
    steps = iter(track([None, *shown]))
    next(steps)
    # Imported here since matplotlib is slow to import, and only this draws.
    from rl3_jax.report.animation import animate
    from rl3_jax.report.scenes import make_pair, make_scene

    names = [_name(*one) for one in acting]
    if len(acting) == 1:
        scene = make_scene(_trial(*acting[0], seed, task, names[0]))
    else:
        if names[0] == names[1]:
            names = [f"{name} ({number})" for number, name in enumerate(names, 1)]
        scene = make_pair([_trial(*one, seed, task) for one in acting], names)
    return animate(scene, steps, shown, fps)


def _name(env: TrialEnv, agent: Agent) -> str:
    """Return what an agent is called in the picture."""
    return f"{method_name(env)} {agent.policy.config.core.core}{' greedy' if agent.greedy else ''}"


def _trial(env: TrialEnv, agent: Agent, seed: int, task: int, name: str = "") -> "Trial":
    """Return the trial of an agent, with a caption that has its name if it is given."""
    from rl3_jax.report.scenes import Trial
    from rl3_jax.training.recording import record

    drawn, recording = record(env, agent, seed, task)
    which = f"task {task}" + (f" of seed {seed}" if seed else "")
    caption = "   ".join(part for part in (env.family.name, name, which) if part)
    return Trial(env, drawn, agent.policy.distribution, recording, caption)
