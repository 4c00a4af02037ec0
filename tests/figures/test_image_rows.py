import numpy as np
import pytest

from tests.figures.files import numbers
from tests.figures.files import saved
from tfp_priors.errors import UserError
from tfp_priors.figures.image_rows import save_image_rows


def rows():
    random = np.random.RandomState(0)
    return {
        "grey": random.rand(3, 10, 12, 1).astype(np.float32),
        "colour, and a longer name": random.rand(2, 10, 12, 3),
    }


def enlarged(image, factor):
    """Pixels of an image in the PNG, `[h, w, 3]`."""
    pixels = np.round(np.broadcast_to(image, (*image.shape[:2], 3)) * 255)
    return pixels.astype(np.uint8).repeat(factor, 0).repeat(factor, 1)


def find(pixels, tile):
    """Top and left of a tile in a picture; it must be there once."""
    h, w = tile.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (h, w, 3))[:, :, 0]
    # The four corners and the middle first: the whole is slow.
    candidates = np.argwhere(
        (windows[:, :, 0, 0] == tile[0, 0]).all(-1)
        & (windows[:, :, -1, -1] == tile[-1, -1]).all(-1)
        & (windows[:, :, h // 2, w // 2] == tile[h // 2, w // 2]).all(-1)
    )
    found = [spot for spot in candidates if (windows[tuple(spot)] == tile).all()]
    assert len(found) == 1
    return tuple(found[0])


def test_every_pixel_is_there(tmp_path):
    images = rows()
    pixels, columns = saved(tmp_path, lambda path: save_image_rows(images, path))
    # 60 / 12: five pixels of the page for each one of an image, and as a gap.
    spots = {
        label: [find(pixels, enlarged(image, 5)) for image in row]
        for label, row in images.items()
    }
    (top, left), *_ = spots["grey"]
    assert spots["grey"] == [(top, left + i * 65) for i in range(3)]
    assert spots["colour, and a longer name"] == [
        (top + 55, left + i * 65) for i in range(2)
    ]
    # The labels: some ink beside each row, more beside the second.
    ink = [(pixels[y : y + 50, :left] < 128).sum() for y in (top, top + 55)]
    assert 0 < ink[0] < ink[1]
    assert columns["label"] == ["grey"] * 3 + ["colour, and a longer name"] * 2
    assert columns["column"] == ["0", "1", "2", "0", "1"]
    every = [image for row in images.values() for image in row]
    for name, function in (("mean", np.mean), ("standard_deviation", np.std)):
        expected = [function(image) for image in every]
        np.testing.assert_allclose(numbers(columns[name]), expected, rtol=1e-5)


def test_ends_are_set_apart(tmp_path):
    images = {"z": np.random.RandomState(0).rand(5, 30, 30, 1)}
    pixels, _ = saved(
        tmp_path, lambda path: save_image_rows(images, path, title="pairs", ends=True)
    )
    # The frames lie over the outermost pixels of the ends.
    inner = [enlarged(image[2:-2, 2:-2], 2) for image in images["z"]]
    lefts = np.array([find(pixels, tile)[1] for tile in inner])
    gaps = np.diff(lefts) - 60
    assert gaps[1] == gaps[2] == 4
    assert gaps[0] == gaps[3] > 8
    red = (pixels[..., 0] > 180) & (pixels[..., 1:] < 80).all(-1)  # [h, w]
    at_ends = np.zeros_like(red)
    for left in lefts[[0, -1]]:
        at_ends[:, left - 6 : left + 58] = True
        assert red[:, left - 6 : left + 58].sum() > 4 * 50
    assert not red[~at_ends].any()


def test_title_and_a_single_image(tmp_path):
    images = {"a": np.random.RandomState(0).rand(1, 28, 28, 1)}
    title = "a title that is wider than the picture"
    pixels, _ = saved(
        tmp_path, lambda path: save_image_rows(images, path, title, ends=True)
    )
    # All of the title is on the page.
    white = (pixels == 255).all(-1)
    assert white[:, 0].all() and white[:, -1].all()
    assert (~white[:20]).any(0).sum() > 100


def test_numbers_of_the_user(tmp_path):
    given = {"sample": [0, 1, 2], "distance": [0.25, 1 / 3, 1234.5678]}
    _, columns = saved(
        tmp_path, lambda path: save_image_rows(rows(), path, numbers=given)
    )
    assert columns == {
        "sample": ["0", "1", "2"],
        "distance": ["0.25", "0.333333", "1234.57"],
    }


def test_large_images_are_not_enlarged(tmp_path):
    images = np.random.RandomState(0).rand(2, 128, 128, 3)
    pixels, _ = saved(tmp_path, lambda path: save_image_rows({"": images}, path))
    find(pixels, enlarged(images[1], 1))


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"a": np.zeros([0, 8, 8, 1])},
        {"a": np.zeros([8, 8, 1])},
        {"a": np.zeros([1, 8, 8, 2])},
        {"a": np.zeros([1, 8, 8, 1]), "b": np.zeros([1, 8, 9, 1])},
    ],
)
def test_bad_input(tmp_path, bad):
    with pytest.raises(UserError, match="of one height and width, received shapes"):
        save_image_rows(bad, tmp_path / "a")
    assert not list(tmp_path.iterdir())
