import dataclasses
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl3_jax.constraints import problems
from rl3_jax.grid import Grid
from rl3_jax.object_rl import RMax, TableSpec, Transition
from rl3_jax.object_rl.r_max import blocked_after_no_move, danger_risk
from rl3_jax.tasks import Gridworld
from rl3_jax.tasks.gridworld_map import GOAL, OBSTACLE, TILE_REWARD
from tests.reference import r_max as reference

GRID = Grid(
    rows=3,
    columns=4,
    moves=Gridworld().grid.moves,
    slippery=-2.0,
    slippery_moves=Gridworld().grid.slippery_moves,
    blocked=0.3,
    largest_reward=(-1.0, 5.0, -1.0, 50.0, -1.0, -2.0, -1.0, -1.0, 8.0, -1.0, -1.0, 50.0),
    ends=(False, True, False, True, False, False, False, False, False, False, False, True),
    usual_reward=-1.5,
    danger=-30.0,
    warning=-4.0,
    risk=0.25,
)
START, STEPS, CELLS = 5, 30, 12
PLACES = jax.vmap(GRID.place)(jnp.arange(CELLS))


def around(grid, s):
    """The cells to which the displacements lead; None beyond the wall."""
    twin = reference.RMax(grid, 0.9, 1)
    return [twin.neighbour(s, d) for d in range(5)]


@st.composite
def walks(draw):
    """A walk over the grid: an action, where it led, what that paid, and whether the episode ended."""
    s, found = START, []
    for _ in range(STEPS):
        cells = [cell for cell in around(GRID, s) if cell is not None]
        a, next_s = draw(st.integers(0, 4)), draw(st.sampled_from(cells))
        r = draw(st.sampled_from([-4.0, -4.0, -1.0, -20.0, 8.5, -2.0, 0.0, 50.0]))
        ended = draw(st.sampled_from([False, False, False, True]))
        found.append((s, a, r, next_s, ended))
        s = START if ended else next_s
    return found


def stacked(walk):
    s, a, r, next_s, ended = map(np.array, zip(*walk, strict=True))
    return Transition(
        s=jnp.int32(s),
        a=jnp.int32(a),
        r=jnp.float32(r),
        next_s=jnp.int32(next_s),
        terminated=jnp.asarray(ended, bool),
        truncated=jnp.zeros(len(walk), bool),
    )


def spec_of(grid):
    return TableSpec(grid.rows * grid.columns, len(grid.moves), episode_length=100, grid=grid)


@cache
def compiled(learner):
    """The states after each step of a walk."""
    spec = spec_of(GRID)

    def step(state, transition):
        state = learner.update(spec, state, transition)
        return state, state

    return jax.jit(lambda walk: jax.lax.scan(step, learner.init(spec), walk)[1])


@settings(max_examples=25)
@given(walk=walks())
def test_it_equals_the_twin(walk):
    learner = RMax(discount=0.9, max_sweeps=2)
    twin = reference.RMax(GRID, 0.9, 2)
    states = compiled(learner)(stacked(walk))
    for t, (s, a, r, next_s, ended) in enumerate(walk):
        twin.update(s, a, r, next_s, ended)
        beliefs = [twin.blocked[cell] for cell in range(CELLS)]
        np.testing.assert_allclose(states.blocked[t][PLACES], beliefs, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(states.q[t][:, PLACES].T, twin.q, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(states.counts[t], twin.n)


def test_displacements_lead_to_the_places_around():
    numbers = GRID.walled(range(12), -1)
    shifted = GRID.shifted(numbers)
    for s in range(CELLS):
        place = GRID.place(jnp.int32(s))
        expected = [-1 if cell is None else cell for cell in around(GRID, s)]
        assert numbers[GRID.places_around(place)].tolist() == expected
        assert [float(x[place]) for x in shifted] == expected


def test_a_cell_that_stops_a_move_between_free_ones_is_blocked():
    """Nothing else can have stopped it; cells beside the move stay as they were believed to be."""
    moves = jnp.array((0.0, 0.8, 0.1, 0.0, 0.1))
    np.testing.assert_allclose(
        blocked_after_no_move(moves, jnp.array((0.0, 0.3, 0.0, 0.3, 0.0))), (0, 0.99, 0, 0.3, 0)
    )
    # With a blocked cell to the east, it may have been that one: 0.3 · 0.9 against 0.7 · 0.1.
    found = blocked_after_no_move(moves, jnp.array((0.0, 0.3, 1.0, 0.3, 0.0)))
    np.testing.assert_allclose(found[1], 0.27 / (0.27 + 0.07), rtol=1e-6)


def test_staying_on_purpose_says_nothing_of_the_cells_around():
    before = jnp.array((0.0, 0.3, 0.2, 1.0, 0.6))
    after = blocked_after_no_move(jnp.array((1.0, 0.0, 0.0, 0.0, 0.0)), before)
    np.testing.assert_allclose(after[:3], before[:3], rtol=1e-6)
    np.testing.assert_allclose(after[4], before[4], rtol=1e-6)


def test_it_walks_to_what_may_pay_and_turns_from_what_did_not():
    """Told that both ends of a corridor may pay, it goes to the nearer one, then to the other."""
    grid = dataclasses.replace(
        GRID,
        rows=1,
        columns=7,
        blocked=0.0,
        largest_reward=(100.0, -1.0, -1.0, -1.0, -1.0, -1.0, 100.0),
        ends=(True, False, False, False, False, False, True),
        usual_reward=-1.0,
        danger=-100.0,
        warning=-10.0,
        risk=0.0,
    )
    learner, spec, s, actions = RMax(max_sweeps=20), spec_of(grid), 2, []
    update = jax.jit(partial(learner.update, spec))
    stand = Transition(*map(jnp.asarray, (s, 0, -1.0, s, False, False)))
    state = update(learner.init(spec), stand)
    for _ in range(8):
        a = int(jnp.argmax(learner.values(spec, state, jnp.int32(s)).q))
        next_s = s + {2: 1, 4: -1}.get(a, 0)
        state = update(state, Transition(*map(jnp.asarray, (s, a, -1.0, next_s, False, False))))
        actions.append(a)
        s = next_s
    assert actions == [4, 4, 2, 2, 2, 2, 2, 2]


def test_bounds_of_the_whole_grid_draw_it_to_any_cell_not_entered():
    stand = stacked([(START, 0, -1.0, START, False)])
    cell, grid = (compiled(RMax(max_sweeps=1, bound=bound))(stand).q[0] for bound in ("cell", "grid"))
    best = 0.8 * (0.7 * 50.0)
    assert (grid[1:, PLACES[START]] > best).all()
    assert (cell[3:, PLACES[START]] < best).all()


def test_once_the_best_was_found_nothing_better_is_hoped_for():
    """One cell pays 50; before it was entered, all that may are worth as much."""
    walk = [(5, 2, -1.0, 6, False), (6, 2, -1.0, 7, False), (7, 1, 50.0, 3, True)]
    q = compiled(RMax(max_sweeps=40))(stacked(walk)).q
    assert q[1, 3, PLACES[7]] > 20.0  # south of 7 lies 11, which might pay
    assert q[2, 3, PLACES[7]] < q[2, 1, PLACES[7]] - 1.0
    assert q[2, :, PLACES[10]].argmax() != 2


def test_cells_beside_warnings_alone_are_shunned():
    """Of the three other cells around a warning, one lies beside the start, and one beyond the walls."""
    walk = [(5, 3, -1.0, 9, False), (9, 2, -4.0, 10, False)]
    states = compiled(RMax())(stacked(walk))
    risk = danger_risk(GRID, states.entered[-1], states.reward[-1])[PLACES]
    np.testing.assert_allclose(risk, [0.25 * (cell == 11) for cell in range(12)])


@pytest.mark.parametrize(
    ("field", "value"),
    [("discount", 1.0), ("discount", -0.1), ("max_sweeps", 0), ("bound", "x")],
)
def test_wrong_fields_are_named(field, value):
    (problem,) = problems(dataclasses.replace(RMax(), **{field: value}), "learner")
    assert f"learner.{field}" in problem


def test_it_needs_a_known_grid_and_has_no_standard_errors():
    (no_grid,) = RMax().table_problems(TableSpec(12, 5, 100))
    assert "the rules of gridworld alone" in no_grid
    (no_errors,) = RMax().table_problems(dataclasses.replace(spec_of(GRID), standard_errors=True))
    assert "no standard errors" in no_errors


def test_what_is_known_of_gridworlds_holds_for_their_tasks():
    """Rewards are at most the largest, one cell pays it, and moves are as often as they were seen to be."""
    family = Gridworld()
    grid = family.grid
    tiles = jax.vmap(family.sample_task)(jax.random.split(jax.random.key(0), 300)).tiles
    rewards = np.array(TILE_REWARD)[np.asarray(tiles)]
    enterable = np.asarray(tiles) != OBSTACLE
    largest = np.broadcast_to(grid.largest_reward, rewards.shape)
    assert (rewards <= largest)[enterable].all()
    assert ((rewards == max(grid.largest_reward)).sum(axis=1) == 1).all()
    assert (np.asarray(tiles) == GOAL).any(axis=0).tolist() == list(grid.ends)
    assert abs(1.0 - enterable.mean() - grid.blocked) < 0.05
    assert Gridworld("13x13-deterministic").grid == Gridworld("13x13-corner").grid == Gridworld("13x13").grid
    np.testing.assert_allclose(np.sum(grid.moves, axis=1), 1.0)
    assert grid.moves[1] == (0.0, 0.8, 0.1, 0.0, 0.1)
    assert grid.slippery_moves[1] == (0.0, 0.0, 0.5, 0.0, 0.5)
