"""Constraints that are declared beside a configuration's fields."""

import dataclasses
from typing import Annotated, Any, ClassVar, Literal

import pytest
from annotated_types import Ge, Le, Lt

from rl3_jax.constraints import Among, Count, Fraction, Natural, NonNegative, Positive, problems


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of a configuration."""

    share: Fraction = 0.5
    sizes: tuple[Count, ...] = ()
    pair: tuple[Count, str] = (1, "")


@dataclasses.dataclass(frozen=True)
class Whole:
    """A configuration with a field of each kind, and a rule that spans two of them."""

    kinds: ClassVar[tuple[str, ...]] = ("c", "d")

    count: Count = 1
    natural: Natural = 0
    positive: Positive = 0.1
    scale: NonNegative = 0.0
    below: Annotated[float, Ge(0), Lt(1), "0 for none"] = 0.5
    most: Annotated[int, Le(3)] = 3
    word: str = ""
    switch: bool = True
    choice: Literal["a", "b"] = "a"
    kind: Annotated[str, Among("kinds")] = "c"
    part: Part = Part()
    size: Literal[4, 8] = 4
    anything: Any = None

    def conflicts(self):
        """Return a message if there is more of one than of the other."""
        return ["count is above most"] if self.count > self.most else []


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("count", 0, "count is 0; it must be at least 1"),
        ("count", 1.5, "count is 1.5; it must be a whole number"),
        ("count", True, "count is True; it must be a number"),
        (
            "count",
            2**31,
            "count is 2147483648; it must be below 2147483648, as whole numbers in compiled programs have 32"
            " bits",
        ),
        ("natural", -1, "natural is -1; it must be at least 0"),
        ("positive", 0.0, "positive is 0.0; it must be above 0"),
        ("positive", float("nan"), "positive is nan; it must be a finite number"),
        ("scale", "much", "scale is 'much'; it must be a number"),
        ("below", 1, "below is 1; it must be at least 0 and below 1 (0 for none)"),
        ("most", 4, "most is 4; it must be at most 3"),
        ("word", 3, "word is 3; it must be a string"),
        ("switch", 1, "switch is 1; it must be true or false"),
        ("choice", "c", "unknown choice 'c'; choose from: a, b"),
        ("kind", "a", "unknown kind 'a'; choose from: c, d"),
        ("part", Part(share=1.1), "part.share is 1.1; it must be between 0 and 1"),
        ("part", Part(sizes=(4, 0)), "part.sizes[1] is 0; it must be at least 1"),
        ("part", Part(sizes=3), "part.sizes is 3; it must be a list"),
        ("part", Part(sizes=[3]), "part.sizes is [3]; it must be a tuple"),
        ("part", Part(pair=(1, 0.5)), "part.pair[1] is 0.5; it must be a string"),
        ("part", "half", "part is 'half'; it must be a Part"),
        ("part", Part, f"part is {Part!r}; it must be a Part"),
        ("size", 3, "unknown size '3'; choose from: 4, 8"),
        ("anything", Part(share=1.1), ""),
        ("count", 4, "count is above most"),
    ],
)
def test_each_mistake_is_named_with_its_mend(field, value, message):
    assert problems(Whole()) == []
    assert problems(dataclasses.replace(Whole(), **{field: value})) == [message] * bool(message)


def test_all_mistakes_are_listed_and_conflicts_once_the_fields_are_right():
    assert problems(Whole(count=9, scale=-1.0, part=Part(2.0)), "of") == [
        "of.scale is -1.0; it must be at least 0",
        "of.part.share is 2.0; it must be between 0 and 1",
    ]


def test_a_subclass_that_annotates_a_field_again_keeps_its_constraints():
    @dataclasses.dataclass(frozen=True)
    class Mine(Whole):
        kinds: ClassVar[tuple[str, ...]] = ("e",)

        count: int = 2
        kind: str = "e"
        part: Part = Part(sizes=(1,))
        word: int = 0  # had no constraint

    assert problems(Mine()) == []
    assert problems(Mine(count=0, kind="c")) == [
        "count is 0; it must be at least 1",
        "unknown kind 'c'; choose from: e",
    ]
