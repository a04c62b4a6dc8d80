"""Trials whose object-level RL plans on clusters of states."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from rl3_jax.object_rl import ModelBased
from rl3_jax.tasks import Gridworld, TabularState
from rl3_jax.trial import TrialEnv, method_abstraction, method_features
from tests.reference import tabular
from tests.reference.clusters import Clusters
from tests.trial.walk import walk

HORIZON = 50
GRID = Gridworld()
SIDE = GRID.layout.side
LEARNER = ModelBased(smoothing=0.01, tolerance=0.0, max_sweeps=2, warm_start_length=HORIZON)


def make_env(method):
    return TrialEnv(
        GRID,
        horizon=HORIZON,
        features=method_features(method, GRID),
        learner=LEARNER,
        abstraction=method_abstraction(method, GRID, ModelBased()),
    )


def place(cell):
    """The coordinates that the meta-policy sees, as float64."""
    return ((cell // SIDE + 1) / SIDE, (cell % SIDE + 1) / SIDE)


def test_coarse_values_are_those_of_clusters_and_counts_those_of_cells():
    """A trial is replayed with slow twins of the clusters and of the learner on them."""
    env = make_env("rl3-coarse")
    key = jax.random.key(5)
    _, first, (_, states, _, _, _, info) = walk(env, key)
    concrete = walk(make_env("rl3"), key)[2][-1]["transition"]  # the same trial, told from cell to cell
    columns = (concrete.s, concrete.a, concrete.r, concrete.next_s, concrete.terminated)
    clusters = Clusters(2, GRID.neighbour_radius)
    twin = tabular.ModelBased(
        SIDE**2, 5, smoothing=0.01, discount=0.95, tolerance=0.0, max_sweeps=2, warm=True, discovered=True
    )
    clusters.enter(int(first.inner.s), place(int(first.inner.s)))
    counts = np.zeros((SIDE**2, 5))
    values = jax.vmap(env.action_values)(states)
    for t, (s, a, r, next_s, terminated) in enumerate(zip(*map(np.asarray, columns), strict=True)):
        counts[s, a] += 1
        table = clusters.enter(s, place(s)), clusters.enter(next_s, place(next_s))
        assert table == (info["transition"].s[t], info["transition"].next_s[t])
        twin.update(table[0], a, float(r), table[1], terminated)
        now = int(states.inner.s[t])
        np.testing.assert_array_equal(values.counts[t], counts[now])
        q, _ = twin.values(clusters.enter(now, place(now)))
        np.testing.assert_allclose(values.q[t], q, rtol=1e-4, atol=1e-4)
    assert len(clusters.clusters) < len(clusters.met), "some cells must share a cluster"
    assert env.dropped(jax.tree.map(lambda x: x[-1], states)) == 0


def test_successors_without_room_are_counted():
    """A family that promises one successor a state, where there are more."""

    @dataclasses.dataclass(frozen=True)
    class Promising(Gridworld):
        @property
        def num_successors(self):
            return 1

    env = dataclasses.replace(make_env("rl3"), family=Promising())
    _, _, (_, states, *_, info) = walk(env, jax.random.key(5))
    seen = [set() for _ in range(SIDE**2)]
    expected = 0
    for s, next_s in zip(info["transition"].s.tolist(), info["transition"].next_s.tolist(), strict=True):
        if not seen[s]:
            seen[s].add(next_s)
        expected += next_s not in seen[s]
    assert expected > 0
    np.testing.assert_array_equal(jax.vmap(env.dropped)(states)[-1], expected)
    assert jnp.isfinite(jax.vmap(env.get_obs)(states)).all()


def test_where_an_episode_starts_is_met():
    """Episodes that start anywhere: each state of a transition has a cluster."""

    @dataclasses.dataclass(frozen=True)
    class Anywhere(Gridworld):
        def sample_candidate(self, key):
            return dataclasses.replace(super().sample_candidate(key), max_steps_in_episode=2)

        def reset_env(self, key, params):
            s = jax.random.randint(key, (), 0, self.num_states)
            state = TabularState(time=jnp.int32(0), s=s)
            return self.get_obs(state, params), state

    env = dataclasses.replace(make_env("rl3-coarse"), family=Anywhere())
    _, _, (_, states, *_, info) = walk(env, jax.random.key(5))
    assert info["transition"].truncated.any()
    assert (info["transition"].s < SIDE**2).all()
    here = jax.vmap(lambda memory, s: memory.cluster[s])(states.object_rl.abstraction, states.inner.s)
    assert (here < SIDE**2).all()
    assert (jax.vmap(env.dropped)(states) == 0).all()
