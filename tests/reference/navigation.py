"""Planning on a maze or lake over a trial that restarts, in loops."""

import numpy as np


def trial_values(neighbours, chance, reward, landing, ends, start, num_steps):
    """Return V_H of each cell: the best expected sum of H rewards, where episodes restart when they end."""
    value = np.zeros(len(reward))
    for _ in range(num_steps):
        after = [value[start] if ends[c] else value[c] for c in range(len(reward))]
        entry = [
            reward[c] + sum(landing[c][d] * after[d] for d in np.flatnonzero(landing[c]))
            for c in range(len(reward))
        ]
        value = np.array(
            [max(sum(row[m] * entry[there[m]] for m in range(4)) for row in chance) for there in neighbours]
        )
    return value


def shortest_path(is_open, start, goal):
    """Return the fewest moves between two cells of a grid, by search in breadth; ∞ if there is no way."""
    distance, queue = {start: 0}, [start]
    for row, column in queue:
        for there in ((row - 1, column), (row, column + 1), (row + 1, column), (row, column - 1)):
            inside = 0 <= there[0] < len(is_open) and 0 <= there[1] < len(is_open[0])
            if inside and is_open[there[0]][there[1]] and there not in distance:
                distance[there] = distance[row, column] + 1
                queue.append(there)
    return distance.get(goal, float("inf"))
