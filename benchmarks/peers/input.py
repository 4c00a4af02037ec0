"""PyTorch's input pipelines, uint8 as ours: a DataLoader, or tensors indexed."""

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torch.utils.data import Dataset

from benchmarks import pictures
from benchmarks.common import shared_file
from benchmarks.sides import threads


def versions():
    return {"torch": torch.__version__}


class _Arrays(Dataset):
    def __init__(self):
        self._images = pictures.arrays()

    def __len__(self):
        return len(self._images)

    def __getitem__(self, index):
        return torch.from_numpy(self._images[index])[None]


class _Files(Dataset):
    def __init__(self):
        folder = shared_file("pictures", pictures.write)
        self._paths = sorted(folder.glob("*.jpg"))

    def __len__(self):
        return len(self._paths)

    def __getitem__(self, index):
        with Image.open(self._paths[index]) as image:
            left, top = ((size - pictures.CROP) // 2 for size in image.size)
            box = (left, top, left + pictures.CROP, top + pictures.CROP)
            array = np.array(image.crop(box))
        return torch.from_numpy(array).permute(2, 0, 1)


def build(variant, case):
    torch.set_num_threads(threads())
    if variant == "tensor":
        batches = _indexed(torch.from_numpy(pictures.arrays())[:, None])
    else:
        dataset = _Arrays() if case == "memory" else _Files()
        workers = int(variant.removeprefix("loader_"))
        batches = _endless(
            DataLoader(
                dataset,
                pictures.BATCH_SIZE,
                shuffle=True,
                num_workers=workers,
                persistent_workers=workers > 0,
                drop_last=True,
            )
        )
    return lambda: float(next(batches)[0, 0, 0, 0])


def _endless(loader):
    while True:
        yield from loader


def _indexed(images):
    while True:
        for indices in torch.randperm(len(images)).split(pictures.BATCH_SIZE):
            if len(indices) == pictures.BATCH_SIZE:
                yield images[indices]
