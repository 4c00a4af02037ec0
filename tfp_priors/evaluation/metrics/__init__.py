"""The metrics by name. A name fixes the protocol: what is counted, and against what.

Each module of this folder says the names of its metrics, and is found here. What
computes them is imported where it is used: a list of the names and the message on a
wrong one should not wait for TensorFlow.
"""

import difflib
import importlib
import pkgutil
import re
from typing import Any, NamedTuple

from tfp_priors.errors import UserError
from tfp_priors.evaluation.metrics.metric import METRICS
from tfp_priors.evaluation.metrics.metric import Metric
from tfp_priors.evaluation.metrics.metric import count_text

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

# What may stand for a placeholder of a metric's name.
_PLACEHOLDERS = {
    "n": r"\d+k?",
    "m": r"\d+k?",
    "k": r"\d+k?",
    "split": r"train|test|validation|held_out",
    "space": r"z0|z",
    "classifier": r"quadratic|mlp",
    "features": r"pixels|inception|classifier",
    "extractor": r"inception|classifier",
    "net": r"alex|vgg|squeeze",
    "version": r"0\.0|0\.1",
}

#: Flags of bin/evaluate that name a network, by what results call it.
NETWORKS = {
    "classifier": "classifier",
    "keypoints": "keypoint_regressor",
    "inception": "inception_dir",
    "lpips": "lpips_weights",
}

#: What is measured of a run if nothing is asked for: all that needs no other network.
DEFAULTS = ("two_sample_accuracy_quadratic_test", "two_sample_accuracy_mlp_test")

#: What comes before them for a prior with a density: an overfitted one may pass them.
DEFAULTS_OF_DENSITIES = ("prior_nll_test", "prior_overfitting")

#: Of priors alone.
DEFAULTS_OF_CODES = (
    "prior_nll_held_out",
    "prior_overfitting_held_out",
    "two_sample_accuracy_mlp_held_out",
    "sliced_wasserstein_held_out",
)


class Request(NamedTuple):
    """A metric that was asked for.

    Attributes:
      name: in its one spelling: "fid10k_test" also for "fid10000_test".
      metric: its family.
      values: of the template's placeholders.
    """

    name: str
    metric: Metric
    values: dict[str, Any]

    @property
    def network(self) -> str:
        """The network that it needs besides, of `NETWORKS`; nothing if none."""
        return self.metric.network.format(**self.values)


def find(name: str) -> Request:
    """The metric of a name.

    Raises:
      UserError: if there is none.
    """
    for metric in METRICS:
        pattern = re.sub(
            r"\\{(\w+)\\}",
            lambda match: f"(?P<{match[1]}>{_PLACEHOLDERS[match[1]]})",
            re.escape(metric.template),
        )
        match = re.fullmatch(pattern, name)
        if match:
            values = match.groupdict()
            numbers = {key: count(values[key]) for key in "nmk" if key in values}
            if 0 in numbers.values():
                break
            texts = {key: count_text(value) for key, value in numbers.items()}
            name = metric.template.format(**(values | texts))
            return Request(name, metric, values | numbers)
    examples = [metric.example for metric in METRICS]
    nearest = difflib.get_close_matches(name, examples, n=1, cutoff=0.0)[0]
    raise UserError(
        f"There is no metric {name!r}: did you mean one like {nearest}? "
        "bin/evaluate --list explains them all."
    )


def count(text: str) -> int:
    """The number that "500" or "10k" stands for."""
    return int(text[:-1]) * 1000 if text.endswith("k") else int(text)
