"""What random trials tell of a run before it is trained."""

import contextlib
import dataclasses
import io
import re
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax import ConfigError, check, make_config, train
from rl3_jax.object_rl import Tiling
from rl3_jax.run.remarks import LEAST_RETURNS, Rise, Walk, _most_successors, about_learner
from rl3_jax.tasks import RandomMdp
from tests.run.test_wrong_family import SMALL
from tests.wrong_families import Walks


@dataclasses.dataclass(frozen=True)
class Wages(Walks):
    """Pays 1 a step, whatever is done."""

    def step_env(self, key, state, action, params):
        return self.arrive(state, jnp.minimum(state.s + jnp.int32(action), 4), jnp.float32(1.0), params)


@dataclasses.dataclass(frozen=True)
class Lottery(Walks):
    """Pays by chance alone."""

    def step_env(self, key, state, action, params):
        return self.arrive(state, jnp.minimum(state.s + jnp.int32(action), 4), jax.random.normal(key), params)


@dataclasses.dataclass(frozen=True)
class LongWalks(Walks):
    """Has more states than one would plan on densely."""

    @property
    def num_states(self):
        return 150


@dataclasses.dataclass(frozen=True)
class Bounded(LongWalks):
    """Says how many states follow each."""

    num_successors: ClassVar[int] = 2


@dataclasses.dataclass(frozen=True)
class Cramped(Walks):
    """Says that one state follows each, where two may."""

    num_successors: ClassVar[int] = 1


def test_nothing_is_said_of_what_is_well(registered):
    registered(Walks)
    assert check(Walks()) == []
    assert check(make_config("mdp-h100-quick", task=RandomMdp(), horizon=20)) == []


@pytest.mark.parametrize(
    ("family", "remark"),
    [
        (Wages(), "trials of random actions all earn 100, so that it seems not to matter what an agent does"),
        (
            Lottery(),
            "of object-level RL alone earned .* cannot be told from random actions",
        ),
        (LongWalks(), "set LongWalks.num_successors, .* at most 2 did in random trials, so try 4"),
        (Cramped(), "object-level RL left .* out of its model"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_speaks_against_a_family_is_said(registered, family, remark):
    registered(type(family))
    assert any(re.search(remark, said) for said in check(family))


def test_a_table_that_is_hardly_filled_is_noticed():
    tiled = {"learner": "model-based", "abstraction": Tiling(bins=(60, 60))}
    config = make_config("point-robot-h100-quick", **tiled, horizon=40)
    assert any("of 3600 tiles" in remark for remark in check(config, num_tasks=8))


def test_the_prior_is_named_where_it_makes_planning_slow(registered):
    registered(Bounded)
    assert check(make_config("mdp-h100-quick", task=Bounded())) == []
    (remark,) = check(make_config("mdp-h100-quick", task=Bounded(), learner={"prior_count": 1.0}))
    assert "leave out the prior (learner.prior_count 0)" in remark


def test_successors_are_counted_by_trial():
    s = np.array([[0, 0], [0, 0], [0, 0], [1, 0]])
    next_s = np.array([[0, 5], [1, 6], [1, 7], [4, 5]])
    assert _most_successors(Walk(np.zeros(s.shape), s, next_s, np.zeros(2))) == 3


def test_a_run_of_ones_own_family_begins_with_the_remarks(registered, tmp_path):
    registered(Wages)
    shown = io.StringIO()
    with contextlib.redirect_stderr(shown):
        train(make_config("mdp-h100-quick", task=Wages(), **SMALL), tmp_path / "run")
    assert "note: trials of random actions all earn" in shown.getvalue()
    assert "object-level RL is learner model-based" in shown.getvalue()


def test_which_rl_runs_inside_is_said_in_one_line(registered):
    registered(Walks)
    said = [
        about_learner(make_config("mdp-h100-quick", task=Walks())),
        about_learner(make_config("point-robot-h100-quick")),
        about_learner(make_config("mdp-h100-quick", method="rl2")),
    ]
    assert said[0] == "object-level RL is learner model-based, with a table of 5 states"
    assert said[1] == "object-level RL is learner kernel, which sees the 2 numbers of a state"
    assert said[2] == "no RL runs inside the trial (method rl2)"


def test_vectors_are_tried_without_a_table():
    config = make_config("point-robot-h100-quick", horizon=40)
    assert not any("tiles" in remark or "num_successors" in remark for remark in check(config, num_tasks=8))


def test_an_invalid_configuration_is_refused():
    with pytest.raises(ConfigError, match="horizon is 0"):
        check(dataclasses.replace(make_config("mdp-h100-quick"), horizon=0))


RISING = {
    "not": (lambda time: 0.0 * time, True),
    "falling": (lambda time: -0.1 * time, True),
    "slowly": (lambda time: 0.02 * time, False),
    "at once": (lambda time: 3.0 * (time > 3), False),
    "to nan": (lambda time: np.where(time > 50, np.nan, 0.0), False),
}


@pytest.mark.parametrize(("curve", "missing"), RISING.values(), ids=RISING)
def test_a_run_is_judged_once_after_a_tenth(curve, missing):
    returns = np.random.default_rng(0).normal(size=1000) + curve(np.arange(1000))
    rise = Rise(1000)
    told = [rise.is_missing(done, returns[done - 10 : done].tolist()) for done in range(10, 1001, 10)]
    assert told == [False] * 9 + [missing] + [False] * 90


def test_a_short_run_is_judged_by_some_iterations_at_least_and_one_that_goes_on_never():
    still = [1.0] * LEAST_RETURNS
    assert Rise(30).is_missing(LEAST_RETURNS, still)
    assert not Rise(30).is_missing(LEAST_RETURNS - 1, still[1:])
    assert not Rise(30).is_missing(LEAST_RETURNS + 5, still)
