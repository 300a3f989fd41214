"""Whole studies in simulation, from pilot to verdict. For tests only.

Every simulation follows the runner: pilot rounds choose the sample size and are thrown away, then one test of that
size.
"""

from __future__ import annotations

import math
from typing import Callable

import numpy as np

from analysis.estimate import paired_statistics as stats
from analysis.estimate.trimmed_mean import TrimmedEstimate
from analysis.testing.noise_model import NoiseModel

Simulate = Callable[[np.random.Generator], stats.Estimate]
LOG_MARGIN = math.log(1 + stats.MARGIN)


def one_launch(noise: NoiseModel, ratio: float, target: float) -> Simulate:
    """Pilot, stopping rule and test of one cell in one launch."""

    def simulate(generator: np.random.Generator) -> stats.Estimate:
        pilot = noise.log_ratios(generator, stats.PILOT_ROUNDS, math.log(ratio))
        rounds = stats.required_rounds(stats.noise_from_pilot(pilot), target)
        return stats.RoundsEstimate(noise.log_ratios(generator, rounds, math.log(ratio)))

    return simulate


def several_launches(noise: NoiseModel, ratio: float, launches: int, target: float = 1.05) -> Simulate:
    """Every launch has its own pilot and so its own number of rounds."""

    def simulate(generator: np.random.Generator) -> stats.Estimate:
        medians, total = [], 0
        for _ in range(launches):
            pilot = noise.log_ratios(generator, stats.PILOT_ROUNDS, math.log(ratio))
            rounds = stats.required_rounds(stats.noise_from_pilot(pilot), target)
            medians.append(float(np.median(noise.log_ratios(generator, rounds, math.log(ratio)))))
            total += rounds
        return TrimmedEstimate(medians, total)

    return simulate


def coverage(simulate: Simulate, truth: float, replicates: int, seed: int) -> float:
    generator = np.random.default_rng(seed)
    covered = 0
    for _ in range(replicates):
        estimate = simulate(generator)
        covered += estimate.lower(stats.ONE_SIDED_ERROR) <= math.log(truth) <= estimate.upper(stats.ONE_SIDED_ERROR)
    return covered / replicates


def share_found(simulate: Simulate, replicates: int, seed: int) -> float:
    """How often the lower bound lies above the margin."""
    generator = np.random.default_rng(seed)
    return sum(simulate(generator).p_above(LOG_MARGIN) <= stats.ONE_SIDED_ERROR for _ in range(replicates)) / replicates
