import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnax.environments import spaces

from rl3_jax.constraints import problems
from rl3_jax.object_rl import ModelBased, QLearning
from rl3_jax.tasks import Bandit, Gridworld, RandomMdp
from rl3_jax.trial import METHODS, Features, TrialEnv, method_features
from rl3_jax.trial.observation import encode_action
from tests.reference import tabular
from tests.reference import trial as reference
from tests.trial.walk import transitions, walk

HORIZON = 23
MDP = RandomMdp(states=6, actions=3, steps=5)
BANDIT = Bandit(num_arms=4)

TWINS = {
    ("mdp", "model-based"): lambda: tabular.ModelBased(
        6, 3, smoothing=0.1, discount=0.95, tolerance=0.01, max_sweeps=5
    ),
    ("mdp", "q-learning"): lambda: tabular.QLearning(6, 3, discount=0.95),
    ("bandit", "model-based"): lambda: tabular.BanditModel(4, smoothing=0.1),
    ("bandit", "q-learning"): lambda: tabular.QLearning(2, 4, discount=0.95),
}
FAMILIES = {"mdp": MDP, "bandit": BANDIT}
LEARNERS = {"model-based": ModelBased(), "q-learning": QLearning()}
SCALES = {"mdp": (10.0, 10.0, 1.0), "bandit": (1.0, 10.0, 1.0)}


def make_env(family, method="rl3", learner="model-based"):
    features = dataclasses.replace(method_features(method, FAMILIES[family]), previous_state=True)
    return TrialEnv(FAMILIES[family], horizon=HORIZON, features=features, learner=LEARNERS[learner])


@pytest.mark.parametrize("method", ["rl2", "rl3"])
@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_equals_a_replay_of_the_transitions(family, learner, method):
    env = make_env(family, method, learner)
    recorded = walk(env, jax.random.key(4))
    first, _, (later, *_) = recorded
    twin = TWINS[family, learner]()
    sizes = (env.family.num_states, env.num_actions, env.family.episode_length, HORIZON)
    state = partial(reference.one_hot, size=env.family.num_states) if family == "mdp" else None
    expected = reference.parts(transitions(recorded), twin, sizes, SCALES[family], reference.Shown(state))
    assert twin.margin > 1e-5  # else rounding could decide how many sweeps are made
    names = reference.PARTS if method == "rl3" else reference.PARTS[:7]
    names = [name for name in names if name in expected[0]]
    seen = jnp.concatenate([first[None], later])
    assert seen.dtype == jnp.float32
    np.testing.assert_allclose(
        seen, [reference.assemble(parts, names) for parts in expected], rtol=1e-5, atol=1e-5
    )
    assert list(env.layout) == names
    for time in (0, 1, HORIZON):
        for name, part in env.layout.items():
            np.testing.assert_allclose(seen[time, part], expected[time][name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("position", "count_encoding"),
    [("coordinates", "scaled"), ("one-hot", "inverse-root"), ("both", "scaled")],
)
def test_a_squashed_trial_on_a_grid_equals_a_replay(position, count_encoding):
    """Rewards from −100 to 100, cells shown in each way; Q-learning, so that all of the twin is its own."""
    family, scales = Gridworld(), (2.0, 0.5, 4.0)
    features = Features(
        value_scale=scales[0],
        count_scale=scales[1],
        reward_scale=scales[2],
        squash="symlog",
        count_encoding=count_encoding,
        position=position,
        previous_state=True,
    )
    env = TrialEnv(family, horizon=60, features=features, learner=QLearning())
    recorded = walk(env, jax.random.key(5))
    first, _, (later, *_) = recorded

    def show(s):
        row, column = divmod(int(s), 11)
        coordinates = [(row + 1) / 11, (column + 1) / 11]
        axes = [*reference.one_hot(row, 11), *reference.one_hot(column, 11)]
        return {"coordinates": coordinates, "one-hot": axes, "both": coordinates + axes}[position]

    encode = (lambda n: 1 / np.sqrt(1 + n)) if count_encoding == "inverse-root" else None
    expected = reference.parts(
        transitions(recorded),
        tabular.QLearning(121, 5, discount=0.95),
        (121, 5, 60, 60),
        scales,
        reference.Shown(show, reference.symlog, family.start_state, encode),
    )
    seen = jnp.concatenate([first[None], later])
    np.testing.assert_allclose(seen, [reference.assemble(parts) for parts in expected], rtol=1e-4, atol=1e-5)


def test_a_position_on_a_grid_needs_a_grid():
    env = dataclasses.replace(make_env("mdp"), features=Features(position="both"))
    assert env.conflicts() == [
        "features.position is both, but the states of mdp do not lie on a grid; use coordinates"
    ]
    wrong = Features(position="row", squash="log")  # pyright: ignore[reportArgumentType]
    assert [problem.split(";")[0] for problem in problems(wrong, "features")] == [
        "unknown features.squash 'log'",
        "unknown features.position 'row'",
    ]


@pytest.mark.parametrize("part", reference.PARTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_each_part_can_be_switched_off(family, part):
    env = make_env(family)
    state = jax.tree.map(lambda x: x[7], walk(env, jax.random.key(4))[2][1])
    full = env.get_obs(state)
    without = dataclasses.replace(env, features=dataclasses.replace(env.features, **{part: False}))
    kept = [name for name in env.layout if name != part]
    assert list(without.layout) == kept
    reduced = without.get_obs(state)
    assert reduced.shape == (without.observation_size,)
    np.testing.assert_array_equal(reduced, jnp.concatenate([full[env.layout[name]] for name in kept]))
    # The slices tile the vector.
    edges = [0, *(piece.stop for piece in without.layout.values())]
    assert [piece.start for piece in without.layout.values()] == edges[:-1]
    assert edges[-1] == without.observation_size


def test_object_rl_runs_only_where_a_part_needs_it():
    state = make_env("mdp", "rl2").reset_env(jax.random.key(0), make_env("mdp").default_params)[1]
    assert not jax.tree.leaves(state.object_rl)
    for part in ("advantages", "value", "counts"):
        features = dataclasses.replace(METHODS["rl2"], **{part: True})
        env = dataclasses.replace(make_env("mdp"), features=features)
        assert jax.tree.leaves(env.reset_env(jax.random.key(0), env.default_params)[1].object_rl.learner)


def test_scales_divide():
    env = make_env("mdp")
    features = dataclasses.replace(env.features, value_scale=2.0, count_scale=5.0, reward_scale=4.0)
    scaled = dataclasses.replace(env, features=features)
    state = jax.tree.map(lambda x: x[7], walk(env, jax.random.key(4))[2][1])
    one, other = env.get_obs(state), scaled.get_obs(state)
    for part, factor in {"advantages": 5.0, "value": 5.0, "counts": 2.0, "previous_reward": 0.25}.items():
        piece = env.layout[part]
        assert jnp.abs(one[piece]).max() > 0.0
        np.testing.assert_allclose(other[piece], one[piece] * factor, rtol=1e-6)


def test_scales_of_the_families():
    assert method_features("rl3", MDP).value_scale == 10.0
    assert method_features("rl3", BANDIT).value_scale == 1.0
    assert problems(Features(value_scale=0.0, count_scale=-1.0), "features") == [
        "features.value_scale is 0.0; it must be above 0",
        "features.count_scale is -1.0; it must be above 0",
    ]


def test_an_action_of_a_box_is_scaled_to_its_bounds():
    box = spaces.Box(jnp.array([-0.1, 0.0]), jnp.array([0.1, 8.0]), (2,))
    np.testing.assert_allclose(encode_action(box, jnp.array([0.05, 8.0])), [0.5, 1.0], rtol=1e-6)
    np.testing.assert_array_equal(encode_action(spaces.Discrete(3), jnp.int32(1)), [0.0, 1.0, 0.0])
