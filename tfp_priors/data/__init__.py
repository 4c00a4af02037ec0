"""Named data sets as deterministic batches, through TensorFlow Datasets.

Value range: prepared data is uint8 in [0, 255]; batches are float32 in [0, 1].
"""

from tfp_priors.data.datasets import ImageDataset
from tfp_priors.data.datasets import load_dataset
from tfp_priors.data.datasets import shuffled_indices

__all__ = ["ImageDataset", "load_dataset", "shuffled_indices"]
