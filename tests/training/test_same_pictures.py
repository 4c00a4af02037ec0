import numpy as np
import pytest

from tfp_priors.data import ImageDataset
from tfp_priors.errors import UserError
from tfp_priors.training.same_pictures import PICTURES
from tfp_priors.training.same_pictures import told_pictures

PIXELS = np.random.RandomState(0).randint(1, 255, (40, 8, 8, 3)).astype(np.uint8)


def told(folder, pixels):
    return told_pictures(folder, ImageDataset(pixels, {}, (8, 8, 3)))


def test_a_run_knows_its_pictures_again(tmp_path):
    text = told(tmp_path, PIXELS)
    (tmp_path / PICTURES).write_text(text)
    assert told(tmp_path, PIXELS) == text
    # As another decoder may have them.
    told(tmp_path, PIXELS + np.random.RandomState(1).randint(0, 2, PIXELS.shape, "u1"))
    for others in (PIXELS[:39], PIXELS[::-1], 255 - PIXELS):
        with pytest.raises(UserError, match="other pictures than those that .*put th"):
            told(tmp_path, others)


def test_few_pictures(tmp_path):
    (tmp_path / PICTURES).write_text(told(tmp_path, PIXELS[:1]))
    told(tmp_path, PIXELS[:1])
