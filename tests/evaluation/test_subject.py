"""Which exported models can be measured, and what is said of the others."""

import numpy as np
import pytest

from tests.conftest import randomize
from tfp_priors import models
from tfp_priors import networks
from tfp_priors import priors
from tfp_priors.errors import UserError
from tfp_priors.evaluation.images import chunk_seed
from tfp_priors.evaluation.subject import subject_of_saved_model
from tfp_priors.export import export


def prior_given(size):
    return priors.RealNVPPrior(4, couplings=2, hidden_sizes=(8,), context_size=size)


def given(context):
    return lambda make: make(prior=prior_given(3), conditioner=context)


def test_the_samples_of_an_export_are_those_of_its_model(make_model, tmp_path):
    model = make_model()
    randomize(model.prior)
    export(model, tmp_path / "exported")
    subject = subject_of_saved_model(tmp_path / "exported")
    drawn = np.concatenate(list(subject.samples(5, 3)))
    expected = np.rint(255 * model.sample(5, chunk_seed(3, 0)))
    np.testing.assert_allclose(drawn, expected, atol=1)
    z = model.sample_prior(5, 3)
    np.testing.assert_allclose(subject.log_prob(z), model.log_prob(z), rtol=1e-4)


def test_exports_of_the_same_weights_may_be_other_models(make_model, tmp_path):
    """By a constant in the graph."""
    model = make_model()
    for bound in (1, 2):
        model.prior.log_scale_bound = float(bound)
        export(model, tmp_path / f"{bound}")
    one, two = (subject_of_saved_model(tmp_path / f"{bound}") for bound in (1, 2))
    assert one.identity != two.identity


@pytest.mark.parametrize(
    "make, message",
    [
        (given(networks.LabelContext(3)), "is of a conditional model"),
        (given(networks.AttributeContext(3)), "is of a conditional model"),
        (lambda _: models.CodeModel(prior_given(3)), "is of a conditional model"),
        (lambda _: models.CodeModel(prior_given(0)), "is of a prior alone"),
    ],
    ids=["labels", "attributes", "context", "prior"],
)
def test_exports_without_images_of_their_own_are_refused(
    make_model, tmp_path, make, message
):
    export(make(make_model), tmp_path / "exported")
    with pytest.raises(UserError, match=f"{message}.*: pass its run, --run_dir=RUN"):
        subject_of_saved_model(tmp_path / "exported")
