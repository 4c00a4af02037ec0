"""What the page's controls say that runs are given, and what it says of a picture."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.conftest import randomize
from tests.explorer.test_explored import CLASSES
from tests.explorer.test_explored import SHAPE
from tests.explorer.test_explored import dataset
from tests.explorer.test_explored import explored
from tests.explorer.test_explored import floats
from tfp_priors import networks
from tfp_priors import priors
from tfp_priors.errors import UserError
from tfp_priors.explorer import Settings
from tfp_priors.explorer import hand
from tfp_priors.explorer.hand import settings_of
from tfp_priors.explorer.views import Reference


@pytest.mark.parametrize(
    "label, having, given",
    [(7, [], (7,)), (0, [], (0,)), (None, [], ()), (None, [2, 0], (2, 0))],
)
def test_a_label_or_attributes_or_none_of_them(label, having, given):
    expected = Settings(seed=3, temperature=0.5, given=given, guidance=2.0)
    assert settings_of((label, having, 2), 3, 0.5) == expected


def test_an_empty_field_is_told():
    with pytest.raises(UserError, match="temperature is empty or out of its range"):
        settings_of((None, [], 1.0), 0, None)


@pytest.fixture
def run(make_model):
    """Whose networks are given the label too."""
    labels = networks.LabelContext(CLASSES, conditions_networks=True)
    height, width, channels = SHAPE
    encoder = networks.InfoGANEncoder((height, width, channels + CLASSES), width=2)
    model = make_model(
        encoder=networks.ConditionalEncoder(encoder, labels),
        decoder=networks.ConditionalDecoder(
            networks.InfoGANDecoder(SHAPE, width=2), labels
        ),
        prior=priors.RealNVPPrior(
            4, couplings=2, hidden_sizes=(8,), context_size=CLASSES
        ),
        conditioner=labels,
    )
    randomize(model.decoder, scale=0.5)
    return explored(model)


def pixels(picture):
    content = base64.b64decode(picture.src.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)), np.float32) / 255


def test_a_test_image_in_hand_goes_with_its_own_label(run):
    """Not with that of the page, under which it would be another code."""
    index, model = 5, run.model
    image, own = floats("test", [index]), np.array([index % CLASSES])
    shown, told, *_ = hand._in_hand(run, Reference("test", index), None, (0,))
    _, reconstruction = (figure.children[0] for figure in shown.children)
    expected = model.reconstruct(image, own)
    np.testing.assert_allclose(
        pixels(reconstruction), expected[0, ..., 0], atol=1.01 / 255
    )
    z = model.encode(image, own)
    other = model.decode(z, condition=np.array([0]))
    assert np.abs(expected - other).max() > 3 / 255
    density = float(told.children.split()[3])
    assert density == pytest.approx(float(model.log_prob(z, own)[0]), abs=0.01)
    assert abs(density - model.log_prob(z, np.array([0]))[0]) > 0.1


def test_an_upload_is_cropped_as_the_data_set_is():
    data = dataset("test")
    height, width, _ = SHAPE
    data.stored = (2 * height, 2 * width), lambda image: image[:height, :width]
    upper = np.zeros((2 * height, 2 * width), np.uint8)
    upper[:height, :width] = 255
    file = io.BytesIO()
    Image.fromarray(upper).save(file, "PNG")
    content = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    assert (hand._read(content, "a.png", data) == 255).all()


def test_a_draw_in_hand_goes_with_the_label_that_it_was_given(run):
    how = Settings(seed=1, given=(2,))
    _, told, *_ = hand._in_hand(run, Reference("draw", 3, how), None, (0,))
    z = run.codes(how)[3:4]
    expected = float(run.model.log_prob(z, np.array([2]))[0])
    assert float(told.children.split()[3]) == pytest.approx(expected, abs=0.01)
