"""Slow NumPy twins of the baselines, written from the design (sections 4 and 6) and the papers."""

import numpy as np


def backward_induction(transition, reward, num_steps):
    """Return Q_1, …, Q_L as [L, S, A]: Q_k(s,a) = R(s,a) + Σ_s' T(s'|s,a) max_a' Q_{k−1}(s',a'), Q_0 = 0."""
    num_states, num_actions = reward.shape
    value = np.zeros(num_states)
    stages = []
    for _ in range(num_steps):
        q = np.zeros((num_states, num_actions))
        for s in range(num_states):
            for a in range(num_actions):
                q[s, a] = reward[s, a]
                for next_s in range(num_states):
                    q[s, a] += transition[s, a, next_s] * value[next_s]
        value = np.array([max(q[s]) for s in range(num_states)])
        stages.append(q)
    return np.array(stages)


def trial_values(transition, reward, horizon, episode_length, start=0):
    """Return Q[t, s, a] of the whole trial as one control problem of H steps.

    Each step that ends an episode leads to the start state; nothing follows step H − 1. Unlike
    `backward_induction` it knows nothing of stages within an episode.
    """
    num_states = reward.shape[0]
    q = np.zeros((horizon, *reward.shape))
    value = np.zeros(num_states)
    for t in reversed(range(horizon)):
        if (t + 1) % episode_length == 0:
            q[t] = reward + value[start]
        else:
            q[t] = reward + np.einsum("ijk,k->ij", transition, value)
        value = q[t].max(axis=1)
    return q


def ucb1_index(arms, rewards, num_arms, exploration, prior_wins=0.0, prior_losses=0.0):
    """Return r̄(a) + c √(ln t / n(a)) of each arm after t pulls (Auer et al. 2002, figure 1).

    n(a) and r̄(a) count pulls that the prior stands for as if they had been made; t does not.
    """
    index = []
    for arm in range(num_arms):
        paid = [reward for pulled, reward in zip(arms, rewards, strict=True) if pulled == arm]
        pulls = len(paid) + prior_wins + prior_losses
        if pulls == 0:
            index.append(np.inf)
            continue
        width = np.sqrt(np.log(max(len(arms), 1)) / pulls)
        index.append((sum(paid) + prior_wins) / pulls + exploration * width)
    return np.array(index)


def beta_posterior(arms, rewards, num_arms, prior_wins=1.0, prior_losses=1.0):
    """Return the parameters (α, β) of each arm's posterior under a Beta prior and Bernoulli rewards."""
    alpha, beta = np.full(num_arms, prior_wins), np.full(num_arms, prior_losses)
    for arm, reward in zip(arms, rewards, strict=True):
        if reward == 1.0:
            alpha[arm] += 1.0
        else:
            beta[arm] += 1.0
    return alpha, beta


def mdp_posterior(steps, num_states, num_actions, prior_reward):
    """Return the posterior after a history of (s, a, r, s').

    Priors: Dirichlet(1, …, 1) on T(s,a,·); Normal(m, 1) on the mean reward, seen with noise Normal(0, 1).
    By conjugacy the precisions add: 1 + n, with mean (m + Σ r)/(1 + n).

    Returns:
      Dirichlet parameters [S, A, S], and mean and variance [S, A] of the mean rewards.
    """
    concentration = np.ones((num_states, num_actions, num_states))
    precision = np.ones((num_states, num_actions))
    weighted_mean = np.full((num_states, num_actions), float(prior_reward))
    for s, a, r, next_s in steps:
        concentration[s, a, next_s] += 1.0
        precision[s, a] += 1.0
        weighted_mean[s, a] += r
    return concentration, weighted_mean / precision, 1.0 / precision
