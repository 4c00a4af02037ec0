import io

import numpy as np
import pytest
from PIL import Image

from tfp_priors.data.pictures import find_pictures
from tfp_priors.data.pictures import has_eight_in_32_bits
from tfp_priors.data.pictures import read_image
from tfp_priors.data.pictures import size_and_channels
from tfp_priors.errors import UserError
from tfp_priors.evaluation.images import from_folder

RANDOM = np.random.RandomState(0)
GREY = RANDOM.randint(0, 256, (6, 4)).astype("uint8")
COLOUR = RANDOM.randint(0, 256, (6, 4, 3)).astype("uint8")

# What brings a picture that a camera stored with an orientation upright (EXIF 2.3).
UPRIGHT = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: np.swapaxes(x, 0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.swapaxes(x, 0, 1)[::-1, ::-1],
    8: lambda x: np.rot90(x, 1),
}


def both(path, expected):
    """Reads a file by both entrances, as what it must be."""
    shape = expected.shape
    pixels = read_image(path, shape[:2], shape[2])
    np.testing.assert_array_equal(pixels, expected)
    chunk = from_folder(path.parent, shape).chunk(0, 1)
    np.testing.assert_array_equal(chunk[0], expected)


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
def test_pictures_are_upright(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(COLOUR).save(path, exif=exif, lossless=True)
    expected = UPRIGHT[orientation](COLOUR)
    assert size_and_channels(path) == (expected.shape[:2], 3)
    both(path, expected)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_sixteen_bits_keep_their_range(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(GREY.astype("uint16") * 257).save(path)
    both(path, GREY[..., None])
    both(path, np.repeat(GREY[..., None], 3, axis=-1))


@pytest.mark.parametrize(
    "stored",
    [b"\x02\0\x02\0\0\0\x36\0\0\0", b"\x03\0\x01\0\0\0\x09\0\0\0"],
    ids=["text", "9"],
)
def test_an_orientation_that_is_none_turns_nothing(tmp_path, stored):
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01" + stored + b"\0" * 4
    path = tmp_path / "a.webp"
    Image.fromarray(COLOUR).save(path, exif=exif, lossless=True)
    assert size_and_channels(path) == (COLOUR.shape[:2], 3)
    both(path, COLOUR)


def test_one_value_of_sixteen_bits_may_be_transparent(tmp_path):
    values = GREY.astype("uint16") * 257
    key = int(values[1, 1])
    Image.fromarray(values).save(tmp_path / "a.png", transparency=key)
    both(tmp_path / "a.png", np.where(values == key, 255, GREY)[..., None])


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_eight_bits_of_other_numbers_keep_their_range(tmp_path, dtype):
    path = tmp_path / "a.tiff"
    Image.fromarray(GREY.astype(dtype)).save(path)
    both(path, GREY[..., None])
    Image.fromarray(GREY.astype(dtype) * 257).save(path)
    both(path, GREY[..., None])


def test_fractions_are_refused(tmp_path):
    Image.fromarray(GREY.astype("float32") / 255).save(tmp_path / "a.tiff")
    with pytest.raises(UserError, match="grey values are fractions"):
        read_image(tmp_path / "a.tiff", (6, 4), 1)


def test_links_that_are_not_followed_are_counted(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "folder").symlink_to(tmp_path)
    (tmp_path / "in" / "a.png").symlink_to(tmp_path / "nothing.png")
    assert find_pictures(tmp_path / "in") == (
        [],
        {"a link to a folder, or to nothing": 2},
    )


def test_other_numbers_are_refused(tmp_path):
    Image.fromarray(-1.0 - GREY.astype("float32")).save(tmp_path / "a.tiff")
    with pytest.raises(UserError, match="not those of 16 bits"):
        read_image(tmp_path / "a.tiff", (6, 4), 1)


def test_transparency_lies_over_white(tmp_path):
    alpha = np.where(GREY < 128, 0, 255).astype("uint8")
    Image.fromarray(np.dstack([COLOUR, alpha])).save(tmp_path / "a.png")
    both(tmp_path / "a.png", np.where(alpha[..., None] > 0, COLOUR, 255))


def test_palettes_cmyk_bits_and_first_frames(tmp_path):
    grey = np.repeat(GREY[..., None], 3, axis=-1)
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    bits = np.repeat(np.where(GREY < 128, 0, 255)[..., None], 3, axis=-1)
    for name, picture, expected in (
        ("palette.png", Image.fromarray(GREY).convert("P"), grey),
        ("bits.png", Image.fromarray(GREY >= 128), bits),
        ("cmyk.tiff", Image.fromarray(COLOUR).convert("CMYK"), COLOUR),
    ):
        (tmp_path / name).mkdir()
        picture.save(tmp_path / name / name)
        both(tmp_path / name / name, expected.astype("uint8"))
    (tmp_path / "gif").mkdir()
    path = tmp_path / "gif" / "a.GIF"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    both(path, grey)


@pytest.mark.parametrize("suffix", ["png", "gif", "bmp", "tiff"])
def test_palettes_of_greys_are_grey(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    for pixels, channels in ((GREY, 1), (COLOUR, 3)):
        picture = Image.fromarray(pixels).quantize(8)
        assert picture.mode == "P"
        picture.save(path)
        assert size_and_channels(path) == (pixels.shape[:2], channels)


def test_what_is_a_picture(tmp_path):
    names = ("b/a.JPG", "b/c/d.webp", "e.tif", "._e.tif", ".git/f.png", "~$e.tif")
    folders = ("@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information")
    names += tuple(f"b/{folder}/x.png" for folder in (*folders, "lost+found"))
    for name in (*names, "__MACOSX/g.png", "notes.txt", "Thumbs.db", "h"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    paths, left_out = find_pictures(tmp_path)
    assert [str(p.relative_to(tmp_path)) for p in paths] == list(names[:3])
    assert left_out == {
        "hidden": 9,
        "no picture (.txt)": 1,
        "no picture (.db)": 1,
        "no picture (h)": 1,
    }


def test_large_photographs_are_scaled(tmp_path):
    path = tmp_path / "a.png"
    Image.new("L", (12_000, 9_000), 200).save(path, compress_level=1)
    assert (read_image(path, (3, 4), 1) == 200).all()


def test_crop_is_centred(tmp_path):
    picture = Image.new("L", (30, 10), 0)
    picture.paste(255, (10, 0, 20, 10))
    picture.save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png", (10, 10), 1) == 255).all()


@pytest.mark.parametrize("to", [28, 100])
def test_pictures_of_all_sizes_fit(tmp_path, to):
    for size in [*range(20, 120), 201, 347]:
        Image.new("L", (size, size + 3), 7).save(tmp_path / "a.png")
        assert (read_image(tmp_path / "a.png", (to, to), 1) == 7).all()


def test_larger_ones_are_not_decoded(tmp_path):
    # The header of a picture of 100,000 x 100,000 pixels.
    data = io.BytesIO()
    Image.new("L", (1, 1)).save(data, "BMP")
    header = bytearray(data.getvalue())
    header[18:26] = (100_000).to_bytes(4, "little") * 2
    (tmp_path / "a.bmp").write_bytes(header)
    with pytest.raises(UserError, match="more than 256 million pixels: scale it down"):
        read_image(tmp_path / "a.bmp", (3, 4), 1)


def test_another_size_is_refused(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="has 4x6 pixels, the data set 6x4"):
        from_folder(tmp_path, (4, 6, 1)).chunk(0, 1)


def test_bits_of_pictures_of_32(tmp_path):
    for name, values, expected in (
        ("a.tif", np.full((2, 2), 255, np.int32), True),
        ("b.tif", np.full((2, 2), 256, np.int32), False),
        ("c.tif", np.full((2, 2), 3, np.float32), True),
        ("d.png", np.full((2, 2), 3, np.uint8), None),
    ):
        Image.fromarray(values).save(tmp_path / name)
        assert has_eight_in_32_bits(tmp_path / name) is expected
