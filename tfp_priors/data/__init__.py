"""Named data sets as deterministic batches, through TensorFlow Datasets.

Value range: prepared data and training batches are uint8 in [0, 255], which the models
scale on the device; all other batches are float32 in [0, 1].
"""

from tfp_priors.core.order import shuffled_indices
from tfp_priors.data.codes import CodeDataset
from tfp_priors.data.codes import load_codes
from tfp_priors.data.codes import open_array
from tfp_priors.data.datasets import load_dataset
from tfp_priors.data.deepfashion import read_keypoints
from tfp_priors.data.image_dataset import ImageDataset
from tfp_priors.data.streamed import StreamedDataset
from tfp_priors.data.views import Views
