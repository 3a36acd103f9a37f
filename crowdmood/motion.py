"""How a face moves: an own velocity that fades, pushed at random; all noise is in units of the face's size.

The velocity follows an Ornstein-Uhlenbeck process: without a sighting it decays with `MEMORY_S`, and its
spread tends to the speed that this face has shown. The step of time is exact for any length, so the
result does not depend on the frame rate, and an uneven rate needs no care.
"""

from __future__ import annotations

import numpy as np

MEMORY_S = 1.5         # a walker keeps direction about this long
NEW_SPEED = 3.0        # faces per second: the spread of velocity (each axis) of a face seen once
REST_SPEED = 0.5       # ... and the least that any face is trusted to keep to; seated heads do move
TOP_SPEED = 8.0
JITTER = 0.07          # a detector's box wanders by this share of the face, each axis
JITTER_PX = 0.7        # ... and at least by this


def jitter_variance(size: np.ndarray) -> np.ndarray:
    """Return the variance (px squared, each axis) of a box's centre for faces of `size` pixels."""
    return (JITTER * size + JITTER_PX) ** 2


def drift(gap: np.ndarray, speed_variance: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return how a state moves on over `gap` seconds, for velocities of `speed_variance` (px/s squared).

    reach: velocity times this is the way covered. keep: share of the velocity left. Then the variance added
    to the place, the covariance, and the variance added to the velocity.
    """
    keep = np.exp(-gap / MEMORY_S)
    reach = MEMORY_S * (1.0 - keep)
    place = speed_variance * MEMORY_S ** 2 * (2.0 * gap / MEMORY_S - 3.0 + 4.0 * keep - keep * keep)
    return reach, keep, place, speed_variance * reach * (1.0 - keep), speed_variance * (1.0 - keep * keep)
