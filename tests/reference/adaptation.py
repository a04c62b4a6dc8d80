"""Slow twin of the adaptation curve, episode by episode."""

import numpy as np


def adaptation(rewards, ends, most_groups):
    """Reward per episode in groups of consecutive episodes, of the tasks that completed all of a group.

    Returns lists `episodes`, `num_tasks`, `mean`, `standard_error`, as in a result file.
    """
    completed = []
    for task_rewards, task_ends in zip(rewards, ends, strict=True):
        episodes, earned = [], 0.0
        for reward, end in zip(task_rewards, task_ends, strict=True):
            earned += float(reward)
            if end:
                episodes.append(earned)
                earned = 0.0
        completed.append(episodes)
    count = 0
    while sum(len(episodes) > count for episodes in completed) >= max(2, len(completed) / 2):
        count += 1
    found = {"episodes": [], "num_tasks": [], "mean": [], "standard_error": []}
    sizes = [len(part) for part in np.array_split(range(count), min(most_groups, count))] if count else []
    first = 0
    for size in sizes:
        last = first + size
        each = [np.mean(episodes[first:last]) for episodes in completed if len(episodes) >= last]
        found["episodes"].append(last)
        found["num_tasks"].append(len(each))
        found["mean"].append(np.mean(each))
        found["standard_error"].append(np.std(each, ddof=1) / len(each) ** 0.5)
        first = last
    return found
