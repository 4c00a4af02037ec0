import functools
import json
import re

import numpy as np
import pytest
import tensorflow as tf

from tests import commands
from tests.evaluation import lpips_reference as reference
from tfp_priors.errors import UserError
from tfp_priors.evaluation.diversity import pair_distances
from tfp_priors.evaluation.evaluator import Evaluator
from tfp_priors.evaluation.images import from_sampler
from tfp_priors.evaluation.lpips import LPIPS
from tfp_priors.evaluation.lpips_weights import SMALLEST_SIDE
from tfp_priors.evaluation.lpips_weights import convert
from tfp_priors.evaluation.lpips_weights import load_weights
from tfp_priors.evaluation.lpips_weights import save_weights
from tfp_priors.evaluation.lpips_weights import weight_shapes
from tfp_priors.evaluation.subject import Subject

_EXPECTED = json.loads(reference.PATH.read_text())
torch_weights = functools.cache(reference.torch_weights)


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    """Makes the file of the reference's weights of a network and version."""
    folder = tmp_path_factory.mktemp("lpips")

    def make(net="squeeze", version="0.1"):
        path = folder / f"{net}_{version}.npz"
        if not path.exists():
            # The weights of both versions are the same.
            for each in reference.VERSIONS:
                weights = convert(net, *torch_weights(net))
                save_weights(folder / f"{net}_{each}.npz", net, each, weights)
        return path

    return make


@pytest.fixture
def squeeze(weights_file):
    return LPIPS("squeeze", weights=weights_file())


@pytest.mark.parametrize("version", reference.VERSIONS)
@pytest.mark.parametrize("net", reference.NETS)
def test_against_the_pytorch_package(weights_file, net, version):
    distance = LPIPS(net, version, weights_file(net, version))
    for height, width in reference.SIZES[net]:
        expected = _EXPECTED["distances"][f"{net} {version} {height}x{width}"]
        received = distance(*reference.image_pairs(height, width))
        np.testing.assert_allclose(received, expected, atol=1e-5, rtol=0)


def test_versions_and_nets_differ_by_more_than_that():
    distances = [np.sort(d) for d in _EXPECTED["distances"].values()]
    for i, one in enumerate(distances):
        assert 0.1 < one[0] and one[-1] < 1.1
        assert all(np.abs(one - other).max() > 1e-3 for other in distances[:i])


def test_smallest_side_is_that_of_the_package():
    assert SMALLEST_SIDE == _EXPECTED["smallest_side"]


def test_equal_images_and_the_order_of_a_pair(squeeze):
    first, second = reference.image_pairs(32, 40)
    np.testing.assert_array_equal(squeeze(first, first), np.zeros(3))
    received = squeeze(first, second)
    assert received.shape == (3,) and received.dtype == tf.float32
    np.testing.assert_allclose(received, squeeze(second, first), rtol=1e-6)


def test_pairs_are_independent_of_their_batch(squeeze):
    first, second = reference.image_pairs(32, 40)
    one_by_one = [squeeze(a[None], b[None])[0] for a, b in zip(first, second)]
    np.testing.assert_allclose(squeeze(first, second), one_by_one, rtol=1e-5)


def test_gray_images_are_three_equal_channels(squeeze):
    first, second = (images[..., :1] for images in reference.image_pairs(32, 32))
    expected = squeeze(np.repeat(first, 3, -1), np.repeat(second, 3, -1))
    np.testing.assert_allclose(squeeze(first, second), expected, rtol=1e-6)
    # Doubles are not refused, and lose no more than their digits.
    doubles = first.astype(np.float64), second.astype(np.float64)
    np.testing.assert_allclose(squeeze(*doubles), expected, rtol=1e-6)


def test_gradient_against_differences(squeeze):
    first, second = (tf.constant(x[2:]) for x in reference.image_pairs(32, 32))
    second = 0.25 + 0.5 * second
    with tf.GradientTape() as tape:
        tape.watch(second)
        distance = squeeze(first, second)
    gradient = tape.gradient(distance, second)
    # Along the gradient, where the difference is furthest above its rounding.
    step = 1e-3 * gradient / tf.norm(gradient)
    difference = squeeze(first, second + step) - squeeze(first, second - step)
    np.testing.assert_allclose(difference[0], 2e-3 * tf.norm(gradient), rtol=0.01)


def test_features_that_are_all_off_give_0_and_no_nan(weights_file, tmp_path):
    weights = load_weights(weights_file(), "squeeze", "0.1")
    off = {k: np.full_like(v, -99.0) for k, v in weights.items() if ".bias" in k}
    save_weights(tmp_path / "off.npz", "squeeze", "0.1", weights | off)
    distance = LPIPS("squeeze", weights=tmp_path / "off.npz")
    first, second = map(tf.constant, reference.image_pairs(32, 32))
    with tf.GradientTape() as tape:
        tape.watch(second)
        received = distance(first, second)
    np.testing.assert_array_equal(received, np.zeros(3))
    np.testing.assert_array_equal(tape.gradient(received, second), 0 * second)


_GOOD = np.full((2, 32, 32, 3), 0.5, np.float32)
_NAN = _GOOD.copy()
_NAN[1, 2, 3] = np.nan


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.uint8(255 * _GOOD), "float images in [0, 1], received uint8: divide"),
        (_GOOD[0], "[batch, height, width, channels] with 1 or 3 channels, received"),
        (_GOOD[..., :2], "received (2, 32, 32, 2)"),
        (_GOOD[:, :16], "at least 17 x 17 pixels, received 16 x 32: enlarge"),
        (_GOOD - 1.0, "in [0, 1], received -0.5 to -0.5: scale or clip"),
        (255 * _GOOD, "received 127.5 to 127.5"),
        (_NAN, "received 3 NaN: scale or clip"),
        (np.inf * _GOOD, "received inf to inf"),
        (_GOOD[:1], "of one shape, received (1, 32, 32, 3) and (2, 32, 32, 3)"),
    ],
)
def test_bad_images_get_one_line(squeeze, images, message):
    with pytest.raises(UserError, match=re.escape(message)) as error:
        squeeze(images, _GOOD)
    assert "\n" not in str(error.value)
    # A resize may leave the range by its rounding.
    squeeze(_GOOD, np.nextafter(np.ones_like(_GOOD), np.float32(2)))


@pytest.mark.parametrize(
    ("net", "version", "message"),
    [
        ("resnet", "0.1", "net to be one of alex, vgg, squeeze, received 'resnet'"),
        ("alex", "0.2", "version to be one of 0.1, 0.0, received '0.2'"),
        ("alex", 0.1, "version to be one of 0.1, 0.0, received 0.1"),
        (
            "vgg",
            "0.1",
            "received none: make it with bin/convert_lpips --net=vgg --version=0.1 "
            "--trunk=vgg16-397923af.pth --linear=vgg.pth --out=lpips_vgg_v0.1.npz",
        ),
    ],
)
def test_unknown_nets_and_missing_weights(net, version, message):
    with pytest.raises(UserError, match=re.escape(message)):
        LPIPS(net, version)


def test_files_that_hold_anything_else_are_refused(weights_file, tmp_path):
    def refused(path, net="squeeze", version="0.1"):
        with pytest.raises(UserError) as error:
            LPIPS(net, version, path)
        assert "\n" not in str(error.value)
        return str(error.value)

    path = tmp_path / "weights.npz"
    assert f"no file of weights {path}: make it with" in refused(path)
    line = refused(weights_file(), version="0.0")
    assert (
        "of net squeeze, version 0.0" in line and "squeeze, version 0.1: make" in line
    )
    assert "of net squeeze, version 0.1: make" in refused(weights_file(), net="alex")

    for contents in (b"", b"PK\x03\x04 and no more", weights_file().read_bytes()[:-99]):
        path.write_bytes(contents)
        assert "LPIPS cannot read" in refused(path)
    damaged = bytearray(weights_file().read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    assert "LPIPS cannot read" in refused(path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    assert "LPIPS cannot read" in refused(path)
    np.savez(path, net=np.array([{}], object), version="0.1")
    assert "LPIPS cannot read" in refused(path)  # nothing is unpickled

    good = load_weights(weights_file(), "squeeze", "0.1")
    kernel = good["features.0.kernel"]
    missing = {k: v for k, v in good.items() if k != "linear.6"}
    for arrays, message in (
        (missing, "linear.6 of shape (512,); received none of that name"),
        (
            good | {"features.0.kernel": kernel[:2]},
            "received one of shape (2, 3, 3, 64)",
        ),
        (
            good | {"features.0.kernel": kernel * np.nan},
            "finite floats in features.0.k",
        ),
        (good | {"features.0.bias": np.arange(64)}, "other values (int64)"),
        (good | {"linear.7": good["linear.6"]}, "linear.7 too"),
    ):
        np.savez(path, net="squeeze", version="0.1", **arrays)
        assert message in refused(path)
        before = path.read_bytes()
        with pytest.raises(UserError, match=re.escape(message)):
            save_weights(path, "squeeze", "0.1", arrays)
        assert path.read_bytes() == before


@pytest.mark.parametrize("net", reference.NETS)
def test_conversion_keeps_every_number_in_its_place(net):
    trunk, linear = torch_weights(net)
    classifier = {"classifier.1.weight": np.zeros((10, 10), np.float32)}
    weights = convert(net, trunk | classifier, linear)
    assert {k: v.shape for k, v in weights.items()} == weight_shapes(net)
    assert all(v.dtype == np.float32 for v in weights.values())
    for name, array in trunk.items():
        ours = weights[name.replace(".weight", ".kernel")]
        # Each axis of ours by its place in PyTorch's.
        expected = np.einsum("oihw->hwio", array) if array.ndim == 4 else array
        np.testing.assert_array_equal(ours, expected)
    for i, array in enumerate(linear.values()):
        np.testing.assert_array_equal(weights[f"linear.{i}"], array[0, :, 0, 0])


def test_conversion_refuses_another_networks_weights():
    alex, alex_linear = torch_weights("alex")
    squeeze, squeeze_linear = torch_weights("squeeze")
    for weights, message in (
        ((squeeze, alex_linear), "alexnet-owt-7be5be79.pth of torchvision, with feat"),
        ((alex, squeeze_linear), "the linear weights alex.pth of the package lpips"),
        ((alex, {}), "lin0.model.1.weight of shape (1, 64, 1, 1); received none"),
        (
            (alex | {"features.99.bias": alex["features.0.bias"]}, alex_linear),
            "99.bias",
        ),
    ):
        with pytest.raises(UserError, match=re.escape(message)):
            convert("alex", *weights)


# Stands for PyTorch, which the tests do without: files of NumPy instead.
_TORCH = """
import numpy

class Tensor:
    def __init__(self, array):
        self.array = array
    def detach(self):
        return self
    def numpy(self):
        return self.array

def load(path, weights_only, map_location):
    assert weights_only and map_location == "cpu"
    with numpy.load(path) as file:
        return {name: Tensor(array) for name, array in file.items()}
"""


@pytest.fixture
def torch_files(tmp_path, monkeypatch):
    """Flags of bin/convert_lpips and the files that they name."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "torch.py").write_text(_TORCH)
    monkeypatch.setitem(commands.ENVIRONMENT, "PYTHONPATH", str(tmp_path / "modules"))
    flags = {"net": "squeeze", "version": "0.1", "out": tmp_path / "out" / "w.npz"}
    (tmp_path / "v0.1").mkdir()
    for name, arrays in zip(("trunk", "linear"), torch_weights("squeeze"), strict=True):
        flags[name] = tmp_path / "v0.1" / f"{name}.pth"
        with flags[name].open("wb") as file:
            np.savez(file, **arrays)
    return flags


@pytest.mark.slow
def test_command_writes_what_lpips_reads(torch_files, squeeze):
    process = commands.run("convert_lpips", **torch_files)
    assert f'LPIPS("squeeze", "0.1", weights="{torch_files["out"]}")' in process.stdout
    pairs = reference.image_pairs(32, 32)
    received = LPIPS("squeeze", "0.1", torch_files["out"])(*pairs)
    np.testing.assert_array_equal(received, squeeze(*pairs))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trunk": ""}, "expected --trunk=FILE.pth, --linear=FILE.pth and --out"),
        ({"net": "resnet"}, "resnet"),
        ({"trunk": "no/such.pth"}, "there is no file no/such.pth"),
        ({"version": "0.0"}, "set --version=0.1, or give the other file"),
        ({"net": "alex"}, "alexnet-owt-7be5be79.pth of torchvision"),
        ({"linear": "README.md"}, "a state dict of PyTorch, received README.md ("),
        ({"out": "tests"}, "expected a file as --out"),
        ({"out": "README.md/w.npz"}, "cannot use the path README.md: File exists"),
    ],
)
def test_command_refuses_and_leaves_nothing(torch_files, changes, message):
    assert message in commands.refused("convert_lpips", **torch_files | changes)
    assert not torch_files["out"].parent.exists()


def test_command_without_pytorch(torch_files, tmp_path):
    missing = "raise ModuleNotFoundError('No module named torch')"
    (tmp_path / "modules" / "torch.py").write_text(missing)
    line = commands.refused("convert_lpips", **torch_files)
    assert "expected PyTorch" in line and "pip install torch" in line


def test_diversity_asks_in_batches(squeeze):
    received = []

    def distance(first, second):
        received.append(len(first))
        return squeeze(first, second)

    first, second = reference.image_pairs(32, 32)
    images = np.stack([np.concatenate([first, second])] * 2)
    distances = pair_distances(images, distance, batch_size=4)
    assert received == [4, 2]
    np.testing.assert_allclose(distances, [squeeze(first, second)] * 2, rtol=1e-5)


def test_diversity_of_a_subject(weights_file, squeeze):
    images = np.random.RandomState(0).randint(256, size=(6, 32, 32, 3)).astype(np.uint8)
    subject = Subject(
        "world",
        "weights",
        (32, 32, 3),
        samples=lambda n, seed: from_sampler(
            lambda n, _: images[:n], n, seed, "weights"
        ),
    )
    evaluator = Evaluator(subject, lpips_weights=weights_file())
    (result,) = evaluator.evaluate("lpips_diversity_squeeze_v0.1_1c3p")
    expected = squeeze(*np.split(np.float32(images) / 255, 2)).numpy()
    np.testing.assert_allclose(result["value"], expected.mean(), rtol=1e-5)
    error = expected.std(ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(result["standard_error"], error, rtol=1e-4)
