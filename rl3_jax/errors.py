"""The errors a user can meet, each with a message that says what is wrong and how to mend it."""

import difflib
from collections.abc import Callable, Sequence
from typing import Any


class ConfigError(ValueError):
    """A user's mistake; lists every problem found, each with its fix.

    The command line prints it and exits with code 2. Nothing has been written when it is raised, unless it
    takes a run to find the mistake: a task family that enters states which it says it does not have.
    """

    def __init__(self, problems: str | Sequence[str]):
        """Take one message or several."""
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class NonFiniteError(RuntimeError):
    """Training produced a loss that is not finite; the run stopped before it could be saved."""


def unknown_choice(what: str, value: str, choices: Sequence[str]) -> str:
    """Return the message for a name that is not among the valid ones, with the one that it is most like."""
    if not choices:
        return f"unknown {what} {value!r}; there is none"
    close = difflib.get_close_matches(value, choices, n=1, cutoff=0.8)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"unknown {what} {value!r}; {meant}choose from: {', '.join(sorted(choices))}"


def problems_of(call: Callable[..., object], *arguments: Any) -> list[str]:
    """Return the problems of the `ConfigError` that a call raises, or none."""
    try:
        call(*arguments)
    except ConfigError as error:
        return list(error.problems)
    return []
