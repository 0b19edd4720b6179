"""Logistic regression on weights of evidence, and the choice of factors for it. Pure NumPy, no randomness."""

from __future__ import annotations

import numpy as np

from crm_site.lib.modelling import Bools, Floats

RIDGE = 5.0  # shrinks weights; small beside the information of a few hundred cases
STEPS = 60


def sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(x, -35, 35)))


def logistic(matrix: Floats, target: Bools, ridge: float = RIDGE) -> tuple[float, Floats]:
    """Intercept and weights (columns,) of ln(p / (1 - p)) for rows x columns. Newton steps, halved while they would
    make things worse, with a ridge: perfectly separable samples converge as well."""
    design = np.column_stack([np.ones(len(target)), matrix])
    rate = target.mean()
    beta = np.zeros(design.shape[1])
    beta[0] = np.log(rate / (1 - rate))
    penalty = np.full(design.shape[1], ridge)
    penalty[0] = 0.0

    def loss(b: Floats) -> float:
        z = design @ b
        return float((np.logaddexp(0, z) - target * z).sum() + (penalty * b * b).sum() / 2)

    now = loss(beta)
    for _step in range(STEPS):
        probability = sigmoid(design @ beta)
        gradient = design.T @ (probability - target) + penalty * beta
        spread = np.maximum(probability * (1 - probability), 1e-9)
        hessian = (design * spread[:, None]).T @ design + np.diag(penalty + 1e-9)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > 1e-6 and loss(beta - size * step) > now:
            size /= 2
        beta = beta - size * step
        before, now = now, loss(beta)
        if before - now < 1e-9 * (1 + abs(now)):
            break
    return float(beta[0]), beta[1:]


def score_gains(matrix: Floats, target: Bools, chosen: list[int], ridge: float = RIDGE) -> Floats:
    """Rao's score statistic of each column (chi square, one degree) for joining those chosen, signed: positive when
    it would enter with a positive weight. Chosen ones: 0."""
    inside = matrix[:, chosen]
    intercept, weights = logistic(inside, target, ridge)
    probability = sigmoid(intercept + inside @ weights)
    spread = probability * (1 - probability)
    base = np.column_stack([np.ones(len(target)), inside])
    weighted = base * spread[:, None]
    gram = weighted.T @ base + 1e-9 * np.eye(base.shape[1])
    cross = weighted.T @ matrix
    own = (matrix * matrix * spread[:, None]).sum(axis=0) - (cross * np.linalg.solve(gram, cross)).sum(axis=0)
    slope = matrix.T @ (target - probability)
    gains = np.sign(slope) * slope**2 / np.maximum(own, 1e-9)
    gains[own < 1e-6] = 0.0
    gains[chosen] = 0.0
    return gains
