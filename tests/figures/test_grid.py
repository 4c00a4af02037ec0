import numpy as np
import pytest
from PIL import Image

from tfp_priors.figures.grid import image_grid
from tfp_priors.figures.grid import save_image


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_holds_every_image(tmp_path, channels):
    images = np.random.RandomState(0).rand(5, 3, 4, channels)
    grid = image_grid(images, columns=2, padding=1)
    assert grid.shape == (3 * 3 + 2, 2 * 4 + 1, channels)
    for i, image in enumerate(images):
        top, left = (i // 2) * 4, (i % 2) * 5
        tile = grid[top : top + 3, left : left + 4]
        np.testing.assert_array_equal(tile, np.round(image * 255))
    assert (grid[3] == 255).all()
    assert (grid[8:, 5:] == 255).all()
    save_image(grid, tmp_path / "new" / "grid.png")
    with Image.open(tmp_path / "new" / "grid.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture).reshape(grid.shape), grid)


def test_values_beyond_the_range_are_clipped():
    grid = image_grid(np.array([-1.0, 2.0]).reshape(2, 1, 1, 1), padding=0)
    assert grid.ravel().tolist() == [0, 255]
