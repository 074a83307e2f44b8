"""How near two sets of unit vectors are, row by row."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Nearness:
    """Cosines with the reference: as they are, and after the reference's mean was taken off both.

    Embeddings crowd in a cone, so that any two pictures have a high cosine; what tells them apart is the centred one.
    """

    least: float
    mean: float
    centred_least: float
    centred_mean: float


def nearness(vectors, reference):
    vectors, reference = vectors.astype(np.float64), reference.astype(np.float64)
    plain = cosines(vectors, reference)
    centre = reference.mean(axis=0)
    centred = cosines(vectors - centre, reference - centre)
    return Nearness(plain.min(), plain.mean(), centred.min(), centred.mean())


def cosines(left, right):
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return (left * right).sum(axis=1) / lengths
