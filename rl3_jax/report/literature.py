"""Published returns of classic algorithms and of RL², to set ours beside."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SOURCE = "Duan et al. 2016, arXiv 1611.02779, tables 1 and 2"
TASKS = 1000
"""Tasks behind a published mean (section 3 of the paper)."""
PUBLISHED: dict[str, dict[str, dict[str, float]]] = json.loads(
    Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
)
"""Mean return by family, sizes and name; m is what an algorithm believes the rewards of MDPs to average."""
SOURCE_VARIANTS = {
    "gittins": "gittins-discounted",
    "ucrl2 (m = 0)": "ucrl2-tabularl (m = 0)",
    "beb (m = 0)": "beb-tabularl (m = 0)",
}
"""Algorithms of which the published variant appears to be another one than ours of that name."""
SIZES = {"bandit": ("num_arms",), "mdp": ("states", "actions", "steps")}
"""Fields of a family that tell which of its settings is which."""

FAR = 3.0
"""Standard errors beyond which a figure of ours is told apart from the published one, with the reason."""
REASONS = {
    "gittins": "ours is the exact index over the steps left, which earns more than the discounted one.",
    "ucrl2": "ours has the confidence sets of its paper; the published may be those of `ucrl2-tabularl`.",
    "beb": "ours has the bonus of its paper; the published may be that of `beb-tabularl`.",
}
"""Why a baseline may be far from what was published."""


def published_returns(result: Mapping[str, Any]) -> dict[str, float]:
    """Return what was published for the setting of a result file, by name; nothing if nothing was."""
    family = result["family"]
    if family not in PUBLISHED or result["variation"] != "default":
        return {}
    sizes = [f"{name} = {result['task'][name]}" for name in SIZES[family]]
    published = PUBLISHED[family].get(", ".join([*sizes, f"H = {result['horizon']}"]), {})
    variants = {SOURCE_VARIANTS[name]: value for name, value in published.items() if name in SOURCE_VARIANTS}
    return published | variants


def deviation(entry: Mapping[str, Any], published: float) -> float:
    """Return how far an entry of a result file is from a published mean return.

    That is (ours − published) / √(our variance of the mean + variance of the published mean), the latter
    that of `TASKS` tasks whose returns spread as ours do.
    """
    combined = entry["standard_error"] * (1.0 + len(entry["returns"]) / TASKS) ** 0.5
    apart = entry["mean_return"] - published
    if combined == 0.0:
        return math.copysign(math.inf, apart) if apart else 0.0
    return apart / combined
