"""Trained agents that come with the package, each in a folder of its own (design, section 8)."""

from pathlib import Path
from typing import Any

from rl3_jax.errors import ConfigError, unknown_choice
from rl3_jax.run.files import read_json

FOLDER = Path(__file__).parents[1] / "agents"
CARD_FILE = "card.json"


def shipped_cards() -> dict[str, dict[str, Any]]:
    """Return what is known of each agent that comes with the package, by name (design, section 8)."""
    return {name: read_json(folder / CARD_FILE) for name, folder in _folders().items()}


def shipped_folder(name: str) -> Path:
    """Return the folder of an agent that comes with the package.

    Raises:
      ConfigError: if there is none of that name.
    """
    folders = _folders()
    if name not in folders:
        raise ConfigError(unknown_choice("agent", name, list(folders)))
    return folders[name]


def _folders() -> dict[str, Path]:
    """Return the folder of each agent, by name in order."""
    return {file.parent.name: file.parent for file in sorted(FOLDER.glob(f"*/{CARD_FILE}"))}
