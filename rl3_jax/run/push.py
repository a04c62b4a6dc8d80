"""`rl3 push`: an agent onto the Hugging Face hub, with its card and an animation."""

import dataclasses
import functools
import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from rl3_jax.errors import ConfigError, problems_of
from rl3_jax.presets import method_name
from rl3_jax.run import hub
from rl3_jax.run.agent import CONFIG_FILE, PARAMS_FILE, LoadedAgent, agent_folder, load_agent
from rl3_jax.run.arguments import Shared, optional
from rl3_jax.run.cards import card_of_run, describe, earned
from rl3_jax.run.evaluation import evaluate_run
from rl3_jax.run.film import film
from rl3_jax.run.folder import is_run
from rl3_jax.run.progress import tracker
from rl3_jax.run.shipped import CARD_FILE, shipped_cards

PAGE, ANIMATION = "README.md", "trial.gif"
MOST_FRAMES = 200
"""Of the animation; of a longer trial some steps are left out."""
ANYWHERE = {PAGE, ".gitattributes", "LICENSE"}
"""Files that a repository may have before an agent comes."""


@dataclasses.dataclass(frozen=True)
class Push(Shared):
    """Put an agent onto the Hugging Face hub, e.g. `rl3 push runs/DIR me/my-agent`.

    From then on `hf:me/my-agent` names it: `rl3 evaluate --agent hf:me/my-agent`, `load_agent`. A run that
    has not been evaluated as it is now is evaluated first.
    """

    source: Annotated[Positional[str], optional("DIR", "run folder, agent folder, or a name of rl3 list")]
    repository: Annotated[Positional[str], optional("OWNER/NAME", "repository, made if it is missing")]
    license: Annotated[
        str | None, optional("L", "noted on the page, e.g. mit; what the page there says, if not given")
    ] = None
    private: Annotated[bool, arg(help="if it is made, let nobody else read it")] = False

    @functools.cached_property
    def _agent(self) -> LoadedAgent:
        """The agent, read once."""
        return load_agent(self.source)

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid."""
        if found := problems_of(hub.library):
            return found
        found = hub.repository_problems(self.repository)
        if hub.is_name(self.source):
            found.append(f"{self.source} is on the hub already; name a folder, or an agent of rl3 list")
        else:
            found += problems_of(lambda: self._agent)
        if not hub.library().get_token():
            found.append("log in to push: `hf auth login`, or set HF_TOKEN")
        return found

    def run(self) -> None:
        """Push."""
        with hub.asking(f"cannot push to {self.repository}"):
            previous = _page_there(self.repository)
        card = self._card()
        with tempfile.TemporaryDirectory() as place:
            self._write(Path(place), card, self.license or previous)
            with hub.asking(f"cannot push to {self.repository}"):
                api = hub.library().HfApi()
                api.create_repo(self.repository, private=self.private or None, exist_ok=True)
                message = f"Agent of rl3_jax after {self._agent.iteration:,} iterations"
                done = api.upload_folder(repo_id=self.repository, folder_path=place, commit_message=message)
        print(f"pushed: {done.commit_url}; next: rl3 evaluate --agent {hub.PREFIX}{self.repository}")

    def _card(self) -> dict[str, Any]:
        """Return the card of an agent, which is evaluated where its card does not tell what it earns."""
        if is_run(Path(self.source)):
            if problems_of(card_of_run, Path(self.source)):
                evaluate_run(self.source, progress=True)
            return card_of_run(Path(self.source))
        if not Path(self.source).exists():
            return shipped_cards()[self.source]
        return {"results": [earned(evaluate_run(self._agent, progress=True))]}

    def _write(self, place: Path, card: dict[str, Any], licence: str | None) -> None:
        """Write all that a repository holds into a folder."""
        agent, repository, folder = self._agent, self.repository, agent_folder(self.source)
        for name in (CONFIG_FILE, PARAMS_FILE):
            (place / name).write_bytes((folder / name).read_bytes())
        (place / CARD_FILE).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        track = tracker("drawing", visible=True)
        (place / ANIMATION).write_bytes(
            film([(agent.env, agent.behaviour())], most_frames=MOST_FRAMES, track=track)
        )
        page = describe(repository, hub.PREFIX + repository, card)
        shown = (
            f"{page}\nIn Python: `rl3_jax.load_agent({hub.PREFIX + repository!r})`. It needs"
            " `pip install 'rl3-jax[hub]'`.\n\nOne trial, on a task that it had not met:\n\n"
            f"![One trial of the agent]({ANIMATION})\n"
        )
        front = f"---\n{_front_matter(agent, repository, card, licence)}\n---\n\n"
        (place / PAGE).write_text(front + shown, encoding="utf-8")


def _page_there(repository: str) -> str | None:
    """Return the licence that the page of a repository names, if there is one.

    Raises a `ConfigError` if the repository holds something else than an agent.
    """
    library = hub.library()
    api = library.HfApi()
    if not api.repo_exists(repository):
        return None
    files = set(api.list_repo_files(repository))
    if CONFIG_FILE not in files and files - ANYWHERE:
        raise ConfigError(
            f"{repository} holds something else, e.g. {min(files - ANYWHERE)}; choose another name"
        )
    return library.ModelCard.load(repository).data.license if PAGE in files else None


def _front_matter(agent: LoadedAgent, repository: str, card: dict[str, Any], licence: str | None) -> str:
    """Return what the hub reads of a page: how the agent is found, and what it earns."""
    library, method = hub.library(), method_name(agent.env)
    what = {"task_type": "reinforcement-learning", "task_name": "meta-reinforcement learning"}
    results = [
        library.EvalResult(
            **what,
            dataset_name=f"{row['family']} ({row['variation']}), H = {row['horizon']}",
            dataset_type=f"{row['family']}-{row['variation']}-{row['horizon']}",
            metric_type="mean_reward",
            metric_name="mean return of a trial on held-out tasks",
            metric_value=f"{row['mean_return']:.2f} +/- {row['standard_error']:.2f}",
        )
        for row in card["results"]
    ]
    tags = ["reinforcement-learning", "meta-reinforcement-learning", "jax"]
    tags += [agent.env.family.family, method, agent.policy.config.core.core]
    return library.ModelCardData(
        library_name="rl3_jax",
        license=licence,
        pipeline_tag="reinforcement-learning",
        tags=list(dict.fromkeys(tags)),
        model_name=repository.rpartition("/")[2],
        eval_results=results,
    ).to_yaml()
