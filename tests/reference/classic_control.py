"""One step of each environment of classic control, from the equations of motion."""

import numpy as np


def cart_pole(state, force, length, gravity):
    """Return (x, v, θ, ω) after 0.02 s (Barto, Sutton and Anderson 1983; Florian 2007, without friction).

    The cart weighs 1, the pole 0.1; `length` is half of the pole's.
    """
    x, v, angle, turning = state
    # (M + m) a + m l θ'' cos θ = F + m l ω² sin θ;   a cos θ + (4/3) l θ'' = g sin θ
    matrix = [[1.1, 0.1 * length * np.cos(angle)], [np.cos(angle), 4.0 / 3.0 * length]]
    right = [force + 0.1 * length * turning**2 * np.sin(angle), gravity * np.sin(angle)]
    acceleration, bending = np.linalg.solve(matrix, right)
    return np.array([x + 0.02 * v, v + 0.02 * acceleration, angle + 0.02 * turning, turning + 0.02 * bending])


def mountain_car(state, push, gravity):
    """Return (x, v) after a step (Sutton and Barto 2018, example 10.1); the left end stops the car."""
    x, v = state
    v = min(max(v + push - gravity * np.cos(3.0 * x), -0.07), 0.07)
    x = min(max(x + v, -1.2), 0.6)
    return np.array([x, 0.0 if x == -1.2 and v < 0.0 else v])


def pendulum(state, torque, mass, length, gravity):
    """Return (θ, θ') of a rod after 0.05 s, with θ from the top, and −(θ² + 0.1 θ'² + 0.001 u²) before."""
    angle, speed = state
    near = np.arctan2(np.sin(angle), np.cos(angle))
    pays = -(near**2 + 0.1 * speed**2 + 0.001 * torque**2)
    inertia = mass * length**2 / 3.0
    turning = (mass * gravity * length / 2.0 * np.sin(angle) + torque) / inertia
    speed = min(max(speed + 0.05 * turning, -8.0), 8.0)
    return np.array([angle + 0.05 * speed, speed]), pays


def acrobot(state, torque, masses, lengths):
    """Return angles and speeds after 0.2 s by one step of Runge and Kutta, angles not wrapped."""

    def slope(y):
        return np.concatenate([y[2:], _acceleration(y, torque, masses, lengths)])

    first = slope(state)
    second = slope(state + 0.1 * first)
    third = slope(state + 0.1 * second)
    fourth = slope(state + 0.2 * third)
    return state + 0.2 / 6.0 * (first + 2.0 * second + 2.0 * third + fourth)


def _acceleration(state, torque, masses, lengths):
    """Return θ₁'' and θ₂'' from M θ'' + c + g = (0, u), as of two links with moments of inertia 1."""
    bend, (speed_1, speed_2) = state[1], state[2:]
    (m1, m2), (l1, l2) = masses, lengths
    coupled = m2 * l1 * l2 / 2.0
    own = m2 * l2**2 / 4.0 + 1.0
    mixed = own + coupled * np.cos(bend)
    matrix = [[m1 * l1**2 / 4.0 + 1.0 + m2 * l1**2 + 2.0 * coupled * np.cos(bend) + own, mixed], [mixed, own]]
    coriolis = coupled * np.sin(bend) * np.array([-(speed_2**2) - 2.0 * speed_1 * speed_2, speed_1**2])
    second = m2 * 9.8 * l2 / 2.0 * np.sin(state[0] + bend)
    weights = np.array([(m1 * l1 / 2.0 + m2 * l1) * 9.8 * np.sin(state[0]) + second, second])
    return np.linalg.solve(matrix, np.array([0.0, torque]) - coriolis - weights)


def acrobot_energy(state, masses, lengths):
    """Return kinetic and potential energy, from the speeds of both centres of mass; 0 hanging at rest."""
    angles = np.cumsum(state[:2])
    turning = np.cumsum(state[2:])
    along = np.stack([np.cos(angles), np.sin(angles)], axis=1)  # where the end of a link moves
    first = lengths[0] / 2.0 * turning[0] * along[0]
    second = lengths[0] * turning[0] * along[0] + lengths[1] / 2.0 * turning[1] * along[1]
    kinetic = sum(m * v @ v + w**2 for m, v, w in zip(masses, (first, second), turning, strict=True)) / 2.0
    raised = 1.0 - np.cos(angles)
    heights = [lengths[0] / 2.0 * raised[0], lengths[0] * raised[0] + lengths[1] / 2.0 * raised[1]]
    return kinetic + 9.8 * np.dot(masses, heights)
