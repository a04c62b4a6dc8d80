"""Cards: what is known of a trained agent, as data and as a page (design, section 8)."""

from pathlib import Path
from typing import Any

from rl3_jax.errors import ConfigError
from rl3_jax.run import metrics
from rl3_jax.run.agent import LoadedAgent, load_agent
from rl3_jax.run.evaluation import read_evaluation
from rl3_jax.run.files import read_json
from rl3_jax.run.folder import RunFolder

OF_RESULTS = ("family", "variation", "task", "horizon", "num_tasks", "eval_seed", "task_set_sha256")
EARNED = ("mean_return", "standard_error")
"""What a card has of an evaluation, and of its first entry."""


def card_of_run(folder: Path) -> dict[str, Any]:
    """Return what a run folder tells of its agent, and what it earned by sampling, where trained first.

    Raises a `ConfigError` if it has not been evaluated there as it is now.
    """
    run, agent = RunFolder(folder), load_agent(folder)
    config, lines = read_json(run.config), metrics.read(run.metrics)
    lines = [line for line in lines if line["iteration"] <= agent.iteration]
    now, trained = {"iteration": agent.iteration, "greedy": False}, trained_on(agent)
    results = [result for result in read_evaluation(run) if result | now == result]
    results.sort(key=lambda result: result | trained != result)
    if not lines or not results or results[0] | trained != results[0]:
        raise ConfigError(f"{folder} has not been evaluated as it is now; run `rl3 evaluate {folder}`")
    evaluated = [line for line in lines if "evaluation_return" in line]
    return {
        "seed": config["seed"],
        "steps": lines[-1]["steps"],
        "seconds": round(lines[-1]["wall_seconds"]),
        "device": config["device"],
        "versions": config["versions"],
        "curve": {
            "steps": [line["steps"] for line in evaluated],
            "return": [round(line["evaluation_return"], 3) for line in evaluated],
        },
        "results": [earned(result) for result in results],
    }


def trained_on(agent: LoadedAgent) -> dict[str, Any]:
    """Return by which fields of a result file the trials are known that an agent was trained on."""
    return {"variation": agent.env.family.variation, "horizon": agent.env.horizon}


def earned(result: dict[str, Any]) -> dict[str, Any]:
    """Return what a card has of a result file, whose first entry is the agent's."""
    found = {field: result[field] for field in OF_RESULTS}
    return found | {field: result["results"][0][field] for field in EARNED}


def describe(name: str, agent: str, card: dict[str, Any]) -> str:
    """Return a page about an agent, from its card; `agent` is what commands call it."""
    first, *_ = card["results"]
    rows = [
        f"| {row['variation']} | {row['horizon']} | {row['num_tasks']}"
        f" | {row['mean_return']:.2f} ± {row['standard_error']:.2f} |"
        for row in card["results"]
    ]
    return f"""# {name}

{_trained(first["family"], card)}

Mean return and its standard error on held-out tasks; it was trained on the first row's.

| variation | H | tasks | return |
| --- | ---: | ---: | ---: |
{chr(10).join(rows)}

    rl3 evaluate --agent {agent}
    rl3 watch --agent {agent}

`agent.json` says how it is built, `card.json` has the learning curve and the versions it was trained with.
"""


def _trained(family: str, card: dict[str, Any]) -> str:
    """Return how an agent was trained, as far as its card tells."""
    if "steps" not in card:
        return f"Trained on `{family}`."
    spent = f"{card['steps']:,} steps, in {card['seconds']:,} s"
    text = f"Trained on `{family}` with seed {card['seed']}, for {spent}"
    if "command" not in card:
        return f"{text}."
    return f"{text}\nbeside the other seeds of this command:\n\n    {card['command']}"
