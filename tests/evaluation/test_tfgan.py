import subprocess
import sys

import pytest

from tests import commands

_BOTH = (
    "from tfp_priors.evaluation import tfgan; "
    "first = tfgan.{}(); second = tfgan.{}(); first = tfgan.{}(); "
    "assert tfgan.inception_metrics().INCEPTION_DEFAULT_IMAGE_SIZE == 299; "
    "assert callable(tfgan.classifier_metrics().trace_sqrt_product)"
)


@pytest.mark.slow
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_modules_load_in_either_order(order):
    """In fresh processes: here they are loaded already."""
    names = ("classifier_metrics", "inception_metrics")
    first, second = (names[i] for i in order)
    program = _BOTH.format(first, second, first)
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=commands.ROOT,
        env=commands.ENVIRONMENT,
        check=True,
        timeout=120,
    )
