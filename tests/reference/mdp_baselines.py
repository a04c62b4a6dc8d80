"""Slow NumPy twins of the model-based baselines for MDPs, written from the papers."""

import numpy as np

from tests.reference.baselines import mdp_posterior


def likeliest_model(steps, num_states, num_actions, prior_reward):
    """Return the observed frequencies and mean rewards after a history of (s, a, r, s').

    A pair never tried leads to each state alike and pays the prior's mean.
    """
    transition = np.full((num_states, num_actions, num_states), 1.0 / num_states)
    reward = np.full((num_states, num_actions), float(prior_reward))
    for pair in {(s, a) for s, a, _, _ in steps}:
        seen = [(r, next_s) for s, a, r, next_s in steps if (s, a) == pair]
        for next_s in range(num_states):
            transition[(*pair, next_s)] = np.mean([there == next_s for _, there in seen])
        reward[pair] = np.mean([float(r) for r, _ in seen])
    return transition, reward


def mean_model(steps, num_states, num_actions, prior_reward):
    """Return the posterior's mean of the transition probabilities and of the mean rewards."""
    concentration, reward, _ = mdp_posterior(steps, num_states, num_actions, prior_reward)
    return concentration / concentration.sum(-1, keepdims=True), reward


def pair_counts(steps, num_states, num_actions):
    """Return n(s,a)."""
    counts = np.zeros((num_states, num_actions))
    for s, a, _, _ in steps:
        counts[s, a] += 1.0
    return counts


def best_transition(probabilities, value, radius):
    """Return the p of largest Σ p(s') V(s') with ‖p − T‖₁ ≤ radius (Jaksch et al. 2010, figure 2).

    Half the radius is added to the state of largest value, and what is then too much taken from the states
    of least value, one after the other.
    """
    p = np.array(probabilities, float)
    ascending = np.argsort(value, kind="stable")
    p[ascending[-1]] = min(1.0, p[ascending[-1]] + radius / 2.0)
    for state in ascending:
        excess = p.sum() - 1.0
        if excess <= 0.0:
            break
        p[state] = max(0.0, p[state] - excess)
    return p


def optimistic_induction(transition, reward, radius, num_steps):
    """Return Q_1, …, Q_L as [L, S, A], where each pair may choose its p anew at each stage."""
    value, stages = np.zeros(len(reward)), []
    for _ in range(num_steps):
        q = np.zeros(reward.shape)
        for pair in np.ndindex(*reward.shape):
            q[pair] = reward[pair] + best_transition(transition[pair], value, radius[pair]) @ value
        value = q.max(axis=1)
        stages.append(q)
    return np.array(stages)


def ucrl2_widths(steps, num_states, num_actions, scale):
    """Return the reward and transition widths of each pair for δ = 0.05 (Jaksch et al. 2010, figure 1)."""
    counts, t = pair_counts(steps, num_states, num_actions), max(1, len(steps))
    reward, transition = np.zeros_like(counts), np.zeros_like(counts)
    for pair in np.ndindex(*counts.shape):
        n = max(1.0, counts[pair])
        reward[pair] = scale * np.sqrt(7.0 * np.log(2.0 * num_states * num_actions * t / 0.05) / (2.0 * n))
        transition[pair] = scale * np.sqrt(14.0 * num_states * np.log(2.0 * num_actions * t / 0.05) / n)
    return reward, transition


def tabularl_widths(steps, num_states, num_actions, episode_length, scale):
    """Return the reward and transition widths of TabulaRL's UCRL2, planned at the start of an episode."""
    counts, episode = pair_counts(steps, num_states, num_actions), len(steps) // episode_length + 1
    reward, transition = np.zeros_like(counts), np.zeros_like(counts)
    for pair in np.ndindex(*counts.shape):
        n, log = max(1.0, counts[pair]), np.log(2.0 * num_states * num_actions * (episode + 1) / 0.05)
        reward[pair] = scale * np.sqrt(4.0 * log / n)
        transition[pair] = scale * np.sqrt(4.0 * num_states * log / n)
    return reward, transition


def tabularl_ucrl2_values(steps, num_states, num_actions, prior_reward, scale, episode_length):
    """Return Q_1, …, Q_L of TabulaRL's UCRL2, which plans on a model that it changes as it goes.

    Where the state of largest value would get a probability above 1 it takes a fresh row instead.
    """
    transition, mean = likeliest_model(steps, num_states, num_actions, prior_reward)
    width, radius = tabularl_widths(steps, num_states, num_actions, episode_length, scale)
    value, stages = np.zeros(num_states), []
    for _ in range(episode_length):
        q = np.zeros((num_states, num_actions))
        for pair in np.ndindex(*q.shape):
            p = best_transition(transition[pair], value, radius[pair])
            best = np.argsort(value, kind="stable")[-1]
            if transition[pair][best] + radius[pair] / 2.0 <= 1.0:
                transition[pair] = p
            q[pair] = mean[pair] + width[pair] + p @ value
        value = q.max(axis=1)
        stages.append(q)
    return np.array(stages)


def tabularl_beb_values(steps, num_states, num_actions, prior_reward, scale, episode_length):
    """Return Q_1, …, Q_L of TabulaRL's BEB: its bonus of transitions grows with the steps to go."""
    transition, mean = mean_model(steps, num_states, num_actions, prior_reward)
    counts = pair_counts(steps, num_states, num_actions)
    beta = 2.0 * episode_length**2 * scale
    value, stages = np.zeros(num_states), []
    for later in range(episode_length):
        q = np.zeros((num_states, num_actions))
        for pair in np.ndindex(*q.shape):
            of_rewards = 1.0 / (1.0 + (1.0 + counts[pair]))
            of_transitions = beta * episode_length / (1.0 + (num_states + counts[pair]))
            q[pair] = mean[pair] + of_rewards + transition[pair] @ value + later * of_transitions
        value = q.max(axis=1)
        stages.append(q)
    return np.array(stages)


def beb_reward(steps, num_states, num_actions, prior_reward, bonus):
    """Return what each pair pays with its bonus β/(1 + α₀), α₀ the sum of its Dirichlet parameters."""
    concentration, reward, _ = mdp_posterior(steps, num_states, num_actions, prior_reward)
    return reward + bonus / (1.0 + concentration.sum(-1))
