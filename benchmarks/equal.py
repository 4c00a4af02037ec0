"""What all libraries share where flows are compared at equal size and steps."""

from benchmarks.prior_settings import Sizes

STEPS = 2_000
BATCH_SIZE = 256
#: Adam's, which falls to 0 by a cosine.
RATE = 1e-3


def sizes(dimensions: int) -> Sizes:
    """Sizes of the flows on points of so many dimensions."""
    return Sizes(dimensions, (64, 64))
