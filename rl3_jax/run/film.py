"""One trial of an agent as an animation."""

import math
from collections.abc import Callable, Iterable
from typing import Any

from rl3_jax.presets import method_name
from rl3_jax.training import Agent
from rl3_jax.trial import TrialEnv

FPS = 10.0
"""Frames a second, unless others are asked for."""


def film(
    env: TrialEnv,
    agent: Agent,
    seed: int = 0,
    *,
    num_steps: int | None = None,
    fps: float = FPS,
    most_frames: int | None = None,
    track: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> bytes:
    """Return a GIF of the trial that evaluation runs on the first of the held-out tasks of a seed.

    Args:
      env: the trial.
      agent: who acts.
      seed: names the held-out tasks.
      num_steps: show the first of its steps only.
      fps: frames a second.
      most_frames: if the steps are more, show every second, or third, and so on.
      track: shows the progress of a loop.
    """
    length = num_steps or env.horizon
    shown = range(0, length, math.ceil(length / (most_frames or length)))
    # The loop begins here; its first item is the recording, which compiles.
    steps = iter(track([None, *shown]))
    next(steps)
    # Imported here since matplotlib is slow to import, and only this draws.
    from rl3_jax.report.animation import animate
    from rl3_jax.report.scenes import Trial, make_scene
    from rl3_jax.training.recording import record

    task, recording = record(env, agent, seed)
    how = " greedy" if agent.greedy else ""
    what = f"{method_name(env)} {agent.policy.config.core.core}{how}"
    name = f"{env.family.name}   {what}   task {seed}"
    scene = make_scene(Trial(env, task, agent.policy.distribution, recording, name))
    return animate(scene, steps, shown, fps)
