import pytest

from tfp_priors.core.code_shape import checked_code_shape
from tfp_priors.errors import UserError
from tfp_priors.priors import StandardNormalPrior


@pytest.mark.parametrize(
    ("given", "shape"),
    [(8, (8,)), (8.0, (8,)), ((4, 4, 2), (4, 4, 2)), ([4, 4.0, 2], (4, 4, 2))],
)
def test_shapes(given, shape):
    assert checked_code_shape(given, "A part") == shape


@pytest.mark.parametrize(
    "given", [0, -1, 2.5, None, "8", (4, 4), (4, 0, 2), ("4",) * 3]
)
def test_what_is_no_latent_size(given):
    with pytest.raises(
        UserError, match="A part expects a latent size of at least 1, or"
    ):
        checked_code_shape(given, "A part")


def test_a_part_says_what_it_is_of():
    of_maps, of_vectors = StandardNormalPrior((4, 4, 2)), StandardNormalPrior(32)
    assert of_maps.latent_size == of_vectors.latent_size == 32
    assert of_maps.own_shape == of_maps.latent_argument == (4, 4, 2)
    assert of_vectors.own_shape == (32,) and of_vectors.latent_argument == 32
    assert repr(of_maps) == "StandardNormalPrior(latent_size=(4, 4, 2))"
