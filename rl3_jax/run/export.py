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
from rl3_jax.run.agent import LoadedAgent, agent_of
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

    Of families whose states are integers. `step.json` says what goes in and what comes out.
    """

    out: Annotated[Path, arg(metavar="DIR", help="folder for the program")] = Path("exported")

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid."""
        found = self.source_problems() or problems_of(lambda: exported_step(agent_of(self.source())))
        return found + writing_problems(self.out / PROGRAM)

    def run(self) -> None:
        """Export."""
        for path in write_step(agent_of(self.source()), self.out):
            print(f"written: {path}")


def exported_step(agent: LoadedAgent) -> tuple[Callable[[Arrays], Arrays], Arrays]:
    """Return one step of an agent as a function of arrays by name, and inputs of the right kinds: zeros.

    What goes in: `memory.NN`, what came out of the step before; `start`, whether a trial begins, so that all
    but `state` and `episode_time` does not count; `action`, `reward`, `terminated` and `entered`, what was
    done last, what it paid, whether it led to an absorbing state, and which; `state`, where the agent acts
    now, not the one entered if the next episode began; `episode_time`, the steps of this episode so far.

    What comes out: `memory.NN`, and `logits` [A], from which an action is drawn.

    Raises:
      ConfigError: if the states of the family are not integers.
    """
    env, policy = agent.env, agent.policy
    if not isinstance(env.family, TabularFamily):
        raise ConfigError(
            f"an agent for {env.family.family} cannot be exported, as its states are not integers;"
            " export one for bandits, MDPs, gridworlds or FrozenLake"
        )
    task = env.family.default_params  # any: an agent sees nothing of it

    def at(s: Array, time: Array) -> TabularState:
        counted: Any = time.astype(jnp.int32)  # gymnax says int
        return TabularState(s=s.astype(jnp.int32), time=counted)

    def to_arrays(trial: TrialState, carry: Any) -> Arrays:
        leaves = jax.tree.leaves((dataclasses.replace(trial, task=None), carry))
        return {f"memory.{number:02}": leaf for number, leaf in enumerate(leaves)}

    begun = env.begin(at(jnp.int32(0), jnp.int32(0)), task)
    structure = jax.tree.structure((dataclasses.replace(begun, task=None), agent.init_carry()))

    def step(inputs: Arrays) -> Arrays:
        memory = [inputs[name] for name in sorted(inputs) if name.startswith("memory.")]
        trial, carry = jax.tree.unflatten(structure, memory)
        trial = dataclasses.replace(trial, task=task)
        now, entered = (
            at(inputs["state"], inputs["episode_time"]),
            at(inputs["entered"], trial.inner.time + 1),
        )
        followed, *_ = env.follow(
            trial, inputs["action"], entered, now, inputs["reward"], inputs["terminated"]
        )
        first = (env.begin(now, task), agent.init_carry())
        trial, carry = jax.tree.map(partial(jnp.where, inputs["start"]), first, (followed, carry))
        carry, logits, _ = policy.step({"actor": agent.params}, carry, env.get_obs(trial))
        return to_arrays(trial, carry) | {"logits": logits}

    told = {name: jnp.int32(0) for name in ("action", "entered", "state", "episode_time")}
    told |= {"reward": jnp.float32(0.0), "start": jnp.bool_(False), "terminated": jnp.bool_(False)}
    return step, jax.tree.map(jnp.zeros_like, told | to_arrays(begun, agent.init_carry()))


def write_step(agent: LoadedAgent, folder: Path) -> list[Path]:
    """Write one step of an agent: for `jax.export`, as text of StableHLO, and what goes in and comes out.

    The program takes its arrays in the order of their names, one for each.
    """
    step, inputs = exported_step(agent)
    program = jax.export.export(jax.jit(step), platforms=PLATFORMS)(inputs)
    outputs = jax.eval_shape(step, inputs)
    signature = {"inputs": described(inputs), "outputs": described(outputs), "platforms": PLATFORMS}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / PROGRAM, bytes(program.serialize()))
    write_atomically(folder / TEXT, program.mlir_module().encode())
    write_json(signature, folder / SIGNATURE)
    return [folder / name for name in (PROGRAM, TEXT, SIGNATURE)]


def described(arrays: dict[str, Any]) -> list[dict[str, Any]]:
    """Return name, shape and type of arrays, by name in order."""
    return [
        {"name": name, "shape": list(arrays[name].shape), "dtype": str(arrays[name].dtype)}
        for name in sorted(arrays)
    ]
