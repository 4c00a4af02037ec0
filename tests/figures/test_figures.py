import numpy as np
import pytest
from PIL import Image

from tfp_priors.figures.grid import image_grid
from tfp_priors.figures.grid import save_image
from tfp_priors.figures.grid import save_labelled_rows
from tfp_priors.figures.latent_space import save_latent_panels


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


def test_latent_panels(tmp_path):
    random = np.random.RandomState(0)
    codes = random.randn(100, 2)
    path = tmp_path / "latents.png"
    save_latent_panels(codes, codes, codes, np.arange(100) % 10, path)
    with Image.open(path) as picture:
        assert picture.size == (1760, 462)
        assert len(np.unique(np.asarray(picture).reshape(-1, 4), axis=0)) > 10
    assert [p.name for p in tmp_path.iterdir()] == ["latents.png"]


def test_labelled_rows(tmp_path):
    random = np.random.RandomState(0)
    rows = {"a": random.rand(3, 8, 8, 1), "a longer name": random.rand(2, 8, 8, 3)}
    save_labelled_rows(rows, tmp_path / "rows.png")
    with Image.open(tmp_path / "rows.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape[0] == 2 * (8 + 4)
    margin = pixels.shape[1] - (3 * 10 - 2)
    first = np.round(rows["a"][0] * 255)
    np.testing.assert_array_equal(pixels[:8, margin : margin + 8], first.repeat(3, -1))
    second = np.round(rows["a longer name"][1] * 255)
    np.testing.assert_array_equal(pixels[12:20, margin + 10 : margin + 18], second)
    # The labels: some ink beside each row, more beside the second.
    ink = [(pixels[top : top + 8, :margin] < 128).sum() for top in (0, 12)]
    assert 0 < ink[0] < ink[1]
