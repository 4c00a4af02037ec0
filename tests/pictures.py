"""Pictures of a folder, as bin/evaluate reads them beside a data set of their size."""

import functools

import numpy as np

from tfp_priors.data import ImageDataset
from tfp_priors.evaluation.images import from_folder


def pictures_of(folder, image_shape):
    """The `Images` of a folder; those of another size are refused."""
    dataset = ImageDataset(np.zeros([1, *image_shape], np.uint8), {}, image_shape)
    return from_folder(folder, functools.partial(dataset.read_picture, scale=False))
