"""What the prior learns from in the last phase of a run."""

import itertools

import numpy as np
import pytest

from tfp_priors.data import Views
from tfp_priors.models import POSTERIOR
from tfp_priors.models import CodeModel
from tfp_priors.priors import FlowMatchingPrior
from tfp_priors.training import PostHoc

IMAGES, COPIES, STEPS = 6, 2, 10


def numbers(post_hoc, start=0, with_context=False):
    """The rows of each batch; the first 6 of 18 are those of images."""
    size = int(with_context)
    prior = FlowMatchingPrior(1, units=4, context_size=size)
    model = CodeModel(prior)
    rows = np.arange(IMAGES * (1 + COPIES), dtype=np.float32)[:, None]
    context = 100 + rows if with_context else None
    batches = post_hoc.batches(model, rows, context, 0, start)
    taken = list(itertools.islice(batches.as_numpy_iterator(), STEPS - start))
    for batch in taken:
        if with_context:
            np.testing.assert_array_equal(batch["context"], 100 + batch[POSTERIOR])
    return [batch[POSTERIOR][:, 0] for batch in taken]


@pytest.mark.parametrize("with_context", [False, True])
def test_the_last_steps_are_of_images_alone(with_context):
    views = Views(copies=COPIES, mirrored=True)
    post_hoc = PostHoc(STEPS, batch_size=3, views=views)
    seen = numbers(post_hoc, with_context=with_context)
    first, last = np.concatenate(seen[:8]), np.concatenate(seen[8:])
    # 24 of 18 rows, which come before any comes again, and 6 of 6.
    assert set(first) == set(range(18)) and set(last) == set(range(6))
    # A run that goes on, before and within them.
    for start in (3, 8, 9):
        again = numbers(post_hoc, start, with_context)
        np.testing.assert_array_equal(again, seen[start:])


def test_without_views_all_steps_are_alike():
    seen = np.concatenate(numbers(PostHoc(STEPS, batch_size=3)))
    assert set(seen[:18]) == set(range(18)) and seen[18:].max() > 5


@pytest.mark.parametrize(
    ("views", "patience"), [(None, 50), (Views(mirrored=True), 10)]
)
def test_patience_is_a_share_of_the_steps_without_views(views, patience):
    assert PostHoc(100, views=views, patience=0.5).patience == patience
