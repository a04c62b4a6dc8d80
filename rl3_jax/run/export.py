"""`rl3 export`: one step of a trained agent, object-level RL included, as StableHLO."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.export
import jax.numpy as jnp
from jaxtyping import Array
from tyro.conf import arg

from rl3_jax.errors import ConfigError, problems_of
from rl3_jax.run.agent import LoadedAgent
from rl3_jax.run.arguments import OfAgent
from rl3_jax.run.files import write_atomically, write_json, writing_problems
from rl3_jax.tasks import TabularFamily, TabularState
from rl3_jax.trial import TrialState

PLATFORMS = ("cpu", "cuda", "tpu")
PROGRAM, TEXT, SIGNATURE = "step.jax", "step.mlir", "step.json"

Arrays = dict[str, Array]


@dataclasses.dataclass(frozen=True)
class Export(OfAgent):
    """Write one step of an agent, object-level RL included, as StableHLO, for programs without rl3_jax.

    For bandits, MDPs and gridworlds. `step.json` says what goes in and what comes out.
    """

    out: Annotated[Path, arg(metavar="DIR", help="folder for the program")] = Path("exported")

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid."""
        return problems_of(lambda: exported_step(self.loaded)) + writing_problems(self.out / PROGRAM)

    def run(self) -> None:
        """Export."""
        for path in write_step(self.loaded, self.out):
            print(f"written: {path}")


def exported_step(agent: LoadedAgent) -> tuple[Callable[[Arrays], Arrays], Arrays]:
    """Return one step of an agent as a function of arrays by name, and inputs of the right kinds: zeros.

    What goes in:

    - `memory.NNN`: what came out of the step before; at a trial's start anything.
    - `start`: whether a trial begins. Then `state` and `episode_time` count, and nothing else.
    - `action`, `reward`, `terminated`, `entered`: what was done last, what it paid, whether it led to an
      absorbing state, and to which state.
    - `state`, `episode_time`: where the agent acts now, and the steps of this episode so far. Where an
      episode has ended, who calls begins the next: `state` is its first, not the one entered, at time 0.

    What comes out: `memory.NNN`, and `logits` [A], from which an action is drawn. A core whose memory grows
    with the trial has no room for more steps than it was trained on.

    Raises:
      ConfigError: if a state of the family is more than an integer.
    """
    env, policy = agent.env, agent.policy
    if not isinstance(env.family, TabularFamily):
        raise ConfigError(
            f"an agent for {env.family.family} cannot be exported, as a state of it is more than one integer;"
            " export one for bandit, mdp or gridworld"
        )
    task = env.family.default_params  # any: an agent sees nothing of it

    def at(s: Array, time: Array) -> TabularState:
        counted: Any = time.astype(jnp.int32)  # gymnax says int
        return TabularState(s=s.astype(jnp.int32), time=counted)

    begun = env.begin(at(jnp.int32(0), jnp.int32(0)), task)
    empty = jax.tree.map(jnp.zeros_like, (dataclasses.replace(begun, task=None), agent.init_carry()))
    leaves, structure = jax.tree.flatten(empty)
    names = [f"memory.{number:03}" if leaf.size else "" for number, leaf in enumerate(leaves)]

    def to_arrays(trial: TrialState, carry: Any) -> Arrays:
        kept = jax.tree.leaves((dataclasses.replace(trial, task=None), carry))
        return {name: leaf for name, leaf in zip(names, kept, strict=True) if name}

    def step(inputs: Arrays) -> Arrays:
        memory = [inputs[name] if name else leaf for name, leaf in zip(names, leaves, strict=True)]
        trial, carry = jax.tree.unflatten(structure, memory)
        trial = dataclasses.replace(trial, task=task)
        now = at(inputs["state"], inputs["episode_time"])
        entered = at(inputs["entered"], trial.inner.time + 1)
        followed, *_ = env.follow(
            trial, inputs["action"], entered, now, inputs["reward"], inputs["terminated"]
        )
        first = (env.begin(now, task), agent.init_carry())
        trial, carry = jax.tree.map(partial(jnp.where, inputs["start"]), first, (followed, carry))
        carry, logits, _ = policy.step({"actor": agent.params}, carry, env.get_obs(trial))
        return to_arrays(trial, carry) | {"logits": logits}

    told = {name: jnp.int32(0) for name in ("action", "entered", "state", "episode_time")}
    told |= {"reward": jnp.float32(0.0), "start": jnp.bool_(False), "terminated": jnp.bool_(False)}
    return step, told | to_arrays(*empty)


def write_step(agent: LoadedAgent, folder: Path) -> list[Path]:
    """Write one step of an agent: for `jax.export`, as text of StableHLO, and what goes in and comes out.

    The text's function `main` takes one array for each name, in the order of the names, and returns so.
    """
    step, inputs = exported_step(agent)
    compiled = jax.jit(step, keep_unused=True)
    program = jax.export.export(compiled, platforms=PLATFORMS)(inputs)
    text = compiled.trace(inputs).lower(lowering_platforms=PLATFORMS[:1]).as_text()
    outputs = jax.eval_shape(step, inputs)
    signature = {"inputs": described(inputs), "outputs": described(outputs), "platforms": PLATFORMS}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / PROGRAM, bytes(program.serialize()))
    write_atomically(folder / TEXT, text.encode())
    write_json(signature, folder / SIGNATURE)
    return [folder / name for name in (PROGRAM, TEXT, SIGNATURE)]


def described(arrays: dict[str, Any]) -> list[dict[str, Any]]:
    """Return name, shape and type of arrays, by name in order."""
    return [
        {"name": name, "shape": list(arrays[name].shape), "dtype": str(arrays[name].dtype)}
        for name in sorted(arrays)
    ]
