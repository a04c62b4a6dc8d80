"""Gridworld navigation, cell by cell in float64 (design, section 4)."""

from collections import deque

import numpy as np

FREE, OBSTACLE, WATER, START, GOAL, DANGER, WARNING = range(7)
ENTER = {FREE: -1, START: -1, GOAL: 100, WATER: -2, WARNING: -10, DANGER: -100}
N, E, S, W = (-1, 0), (0, 1), (1, 0), (0, -1)
LEFT_OF = {N: W, W: S, S: E, E: N}
RIGHT_OF = {left: move for move, left in LEFT_OF.items()}
ACTIONS = [None, N, E, S, W]


def make_grid(layout, runs, goal, dangers):
    """Return a grid [side, side], or None if a danger has no place.

    `runs` are (vertical, first, toward_lower, other) for each run, obstacles first: `toward_lower` is the
    direction from the centre line itself. `goal` and `dangers` tell which of the cells that are allowed,
    row by row, as a fraction of their number.
    """
    side, centre = layout.side, layout.side // 2
    grid = np.full((side, side), FREE)
    for number, run in enumerate(runs):
        obstacle = number < layout.obstacle_sets
        for cell in run_cells(side, layout.obstacle_length if obstacle else layout.water_length, *run):
            grid[cell] = OBSTACLE if obstacle else WATER
    grid[centre, centre] = START
    far = [
        (row, column)
        for row in range(side)
        for column in range(side)
        if abs(row - centre) + abs(column - centre) >= layout.min_goal_distance
    ]
    grid[far[int(goal * len(far))]] = GOAL
    for danger in dangers:
        places = danger_places(grid)
        if not places:
            return None
        row, column = places[int(danger * len(places))]
        grid[row, column] = DANGER
        for down, right in (N, E, S, W):
            grid[row + down, column + right] = WARNING
    return grid


def run_cells(side, length, vertical, first, toward_lower, other):
    """Return the cells of one straight run."""
    centre = side // 2
    if first > centre:
        step = -1
    elif first < centre:
        step = 1
    else:
        step = -1 if toward_lower else 1
    line = [first + step * number for number in range(length)]
    return [(along, other) if vertical else (other, along) for along in line]


def danger_places(grid):
    """Return the interior free cells whose four neighbours are each free or obstacle."""
    side = len(grid)
    return [
        (row, column)
        for row in range(1, side - 1)
        for column in range(1, side - 1)
        if grid[row, column] == FREE
        and all(grid[row + down, column + right] in (FREE, OBSTACLE) for down, right in (N, E, S, W))
    ]


def successors(grid, p_slip, cell, action):
    """Return next cell → probability."""
    move = ACTIONS[action]
    if move is None:
        return {cell: 1.0}
    p = 1.0 if grid[cell] == WATER else p_slip
    found = {}
    for direction, probability in ((move, 1 - p), (LEFT_OF[move], p / 2), (RIGHT_OF[move], p / 2)):
        there = (cell[0] + direction[0], cell[1] + direction[1])
        inside = min(there) >= 0 and max(there) < len(grid)
        if not inside or grid[there] == OBSTACLE:
            there = cell
        if probability:
            found[there] = found.get(there, 0.0) + probability
    return found


def values(grid, p_slip, num_steps, restart=False):
    """Return V [num_steps + 1, side, side] of 0, …, `num_steps` steps to go.

    An episode ends in an absorbing cell, and is worth nothing more; where it may `restart`, the steps that
    are left are taken from the centre.
    """
    side = len(grid)
    outcomes = {
        cell: [list(successors(grid, p_slip, cell, action).items()) for action in range(5)]
        for cell in np.ndindex(side, side)
        if grid[cell] in (FREE, START, WATER, WARNING)
    }
    table = np.zeros((num_steps + 1, side, side))
    for steps in range(1, num_steps + 1):
        later = table[steps - 1].copy()
        if restart:
            later[(grid == GOAL) | (grid == DANGER)] = later[side // 2, side // 2]
        for cell, actions in outcomes.items():
            table[steps][cell] = max(
                sum(probability * (ENTER[grid[there]] + later[there]) for there, probability in next_cells)
                for next_cells in actions
            )
    return table


def path_length(grid):
    """Return the moves of a shortest path from the centre to the goal round dangers; ∞ if there is none."""
    start = (len(grid) // 2,) * 2
    distance, queue = {start: 0}, deque([start])
    while queue:
        cell = queue.popleft()
        if grid[cell] == GOAL:
            return distance[cell]
        for down, right in (N, E, S, W):
            there = (cell[0] + down, cell[1] + right)
            inside = min(there) >= 0 and max(there) < len(grid)
            if inside and there not in distance and grid[there] not in (OBSTACLE, DANGER):
                distance[there] = distance[cell] + 1
                queue.append(there)
    return np.inf


def summary(grid, steps):
    """Return what a gridworld says of a trial.

    Each of its H steps is (cell, next cell, whether it ended an episode); cells are numbered row by row.
    """
    entered = [grid.reshape(-1)[there] for _, there, _ in steps]
    first = entered.index(GOAL) + 1 if GOAL in entered else np.nan
    stays = [there == cell for cell, there, ended in steps if not ended]
    return {
        "found": float(GOAL in entered),
        "goals": float(entered.count(GOAL)),
        "dangers": float(entered.count(DANGER)),
        "first_goal_step": float(first),
        "still": sum(stays) / len(stays) if stays else np.nan,
    }
