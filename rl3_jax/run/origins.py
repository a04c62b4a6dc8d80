"""What a page of HTML tells of a run beside its results: how it is trained again, and one of its trials."""

from rl3_jax.errors import problems_of
from rl3_jax.report.agents import SeededAgent, Source
from rl3_jax.report.making import Origin
from rl3_jax.run.agent import PARAMS_FILE, load_agent
from rl3_jax.run.folder import RunFolder, read_config_file
from rl3_jax.run.shipped import shipped_cards
from rl3_jax.run.typed import train_arguments
from rl3_jax.run.watch import Watch

MOST_STEPS = 400
"""Of a trial that is shown: a page of longer ones would take long to load."""


def origin(source: Source) -> Origin:
    """Return the origin of a run."""
    folder = RunFolder(source.place)
    # What this version cannot read is what `rl3 train --config` will complain of, in its own words.
    arguments = None
    if not problems_of(read_config_file, folder.config):
        arguments = train_arguments(read_config_file(folder.config))
    return Origin(arguments or ["--config", str(folder.config)], _shipped(source))


def _shipped(source: Source) -> tuple[str, str] | None:
    """Return name and command of the agent of the package that earned exactly what a run's did."""
    what = ("task_set_sha256", "horizon", "mean_return")
    earned = {tuple((result | result["results"][0])[name] for name in what) for result in source.results}
    for name, card in shipped_cards().items():
        if earned & {tuple(result[field] for field in what) for result in card["results"]}:
            return name, card["command"]
    return None


def film(agent: SeededAgent) -> bytes | None:
    """Return a trial of an agent as a GIF, None if none of its run folders has it.

    Raises:
      ConfigError: if the agent cannot be read.
    """
    folders = [RunFolder(run.place) for run in agent.runs]
    folder = next((folder for folder in folders if (folder.agent / PARAMS_FILE).exists()), None)
    if folder is None:
        return None
    steps = min(load_agent(folder.path).env.horizon, MOST_STEPS)
    return Watch(folder.path, steps=steps).film()
