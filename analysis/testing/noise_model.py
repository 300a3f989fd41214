"""Timings with the faults of a real machine, for the simulations in power_test.py. For tests only.

A sample's log time is the sum of
  the variant's own log time, the planted effect;
  a launch effect per variant: where pages and processes came to lie, fixed until the next launch;
  drift shared by whatever runs at that moment: first order autoregressive from sample to sample (frequency, neighbours
    on the host), so samples of one round share most of it and the random order of the round decides the rest;
  jitter of the single sample, heavy-tailed (Student with 3 degrees of freedom);
  now and then a disturbance that only ever costs time (an interrupt, a stolen slice).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import signal

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NoiseModel:
    jitter: float = 0.01
    drift: float = 0.03  # standard deviation of the shared drift
    drift_memory: float = 0.95  # correlation from one sample to the next
    disturbance_rate: float = 0.05
    disturbance: float = 0.15  # mean extra log time of a disturbed sample
    launch_effect: float = 0.005  # standard deviation per variant

    def launch(self, generator: np.random.Generator, rounds: int, log_times: FloatArray) -> FloatArray:
        """Log times [rounds, variants] of one launch, each round in an order of its own."""
        variants = len(log_times)
        count = rounds * variants
        innovations = generator.normal(0.0, self.drift * np.sqrt(1 - self.drift_memory**2), count)
        innovations[0] = generator.normal(0.0, self.drift)
        drift = autoregressive(innovations, self.drift_memory)
        jitter = generator.standard_t(3, count) * self.jitter
        disturbed = generator.random(count) < self.disturbance_rate
        noise = drift + jitter + disturbed * generator.exponential(self.disturbance, count)
        in_order = noise.reshape(rounds, variants)
        order = np.argsort(generator.random((rounds, variants)), axis=1)  # order[r, v]: when variant v ran
        effects = generator.normal(0.0, self.launch_effect, variants)
        return np.asarray(np.take_along_axis(in_order, order, axis=1) + effects + log_times, dtype=np.float64)

    def log_ratios(self, generator: np.random.Generator, rounds: int, log_ratio: float) -> FloatArray:
        """Paired log ratios of one launch with two variants."""
        times = self.launch(generator, rounds, np.array([0.0, log_ratio]))
        return np.asarray(times[:, 1] - times[:, 0], dtype=np.float64)


def autoregressive(innovations: FloatArray, memory: float) -> FloatArray:
    """values[i] = memory * values[i - 1] + innovations[i]"""
    return np.asarray(signal.lfilter([1.0], [1.0, -memory], innovations), dtype=np.float64)


WITHIN_LAUNCH = NoiseModel(launch_effect=0.0)
HEAVY = NoiseModel(jitter=0.02, drift=0.08, disturbance_rate=0.1, disturbance=0.4, launch_effect=0.0)
QUIET = NoiseModel(jitter=0.004, drift=0.01, launch_effect=0.0)
