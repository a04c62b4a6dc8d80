"""Rooms with walls, a key, a door and a goal, in loops: turn left, turn right, forward, pick up, open."""

from collections import deque

AHEAD = ((0, 1), (1, 0), (0, -1), (-1, 0))
"""Row and column to which each direction leads: east, south, west, north."""
NO_KEY, KEY, OPEN = range(3)


def step(room, state, action):
    """Return (row, column, direction, progress) after an action in a room {walls, goal, key, door}."""
    row, column, direction, progress = state
    ahead = (row + AHEAD[direction][0], column + AHEAD[direction][1])
    if action < 2:
        return row, column, (direction + (-1, 1)[action]) % 4, progress
    if action == 2:
        shut = (ahead == room["key"] and progress == NO_KEY) or (ahead == room["door"] and progress < OPEN)
        return state if room["walls"][ahead] or shut else (*ahead, direction, progress)
    if action == 3 and ahead == room["key"] and progress == NO_KEY:
        return row, column, direction, KEY
    if action == 4 and ahead == room["door"] and progress == KEY:
        return row, column, direction, OPEN
    return state


def view(room, state, side):
    """Return what stands on the tiles ahead, '' for nothing; the agent is in the middle of the last row."""
    row, column, direction, progress = state
    (down, right), (down_aside, right_aside) = AHEAD[direction], AHEAD[(direction + 1) % 4]

    def tile(forward, aside):
        if forward == aside == 0:
            return ""  # the agent hides what it stands on
        place = (row + forward * down + aside * down_aside, column + forward * right + aside * right_aside)
        if place == room["door"]:
            return "open" if progress == OPEN else "closed"
        if place == room["key"] and progress == NO_KEY:
            return "key"
        within = all(0 <= at < size for at, size in zip(place, room["walls"].shape, strict=True))
        if not within or room["walls"][place]:
            return "wall"
        return "goal" if place == room["goal"] else ""

    asides = range(-(side // 2), side // 2 + 1)
    return [[tile(forward, aside) for aside in asides] for forward in reversed(range(side))]


def shortest_plan(room, start):
    """Return the fewest actions that lead from a state to the goal."""
    plans, queue = {start: []}, deque([start])
    while queue:
        state = queue.popleft()
        if state[:2] == room["goal"]:
            return plans[state]
        for action in range(5):
            after = step(room, state, action)
            if after not in plans:
                plans[after] = [*plans[state], action]
                queue.append(after)
    raise ValueError("no plan leads to the goal")
