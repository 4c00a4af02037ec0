"""What a metric is: a name that fixes the protocol, and a function of an evaluator."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np


class Metric(NamedTuple):
    """A family of metrics.

    Attributes:
      template: of its names, with placeholders such as {n} and {split}.
      example: a name.
      needs: what must be there.
      cost: what takes the time.
      description: in a sentence.
      compute: maps an `Evaluator` and the placeholders' values to results.
      network: what it needs besides, of `NETWORKS`, or a placeholder such as
        "{extractor}".
      parts: names of its results, if there are several.
    """

    template: str
    example: str
    needs: str
    cost: str
    description: str
    compute: Callable[..., Iterator[dict[str, Any]]]
    network: str = ""
    parts: tuple[str, ...] = ()


#: All of them, once their modules are imported.
METRICS: list[Metric] = []


def metric(template: str, example: str, needs: str, cost: str, **others) -> Callable:
    """Makes a function of an `Evaluator` and a template's values a metric.

    Its docstring describes it. It yields results, dicts with the key "value"; one with
    the key "name" is not named as what was asked for.

    Args:
      template: see `Metric`; likewise the next three.
      **others: `network` and `parts`, if it has them.
    """

    def register(compute):
        description = " ".join(compute.__doc__.split())
        METRICS.append(
            Metric(template, example, needs, cost, description, compute, **others)
        )
        return compute

    return register


def count_text(n: int) -> str:
    """10000 as "10k"."""
    return f"{n // 1000}k" if n % 1000 == 0 else str(n)


def mean_of(values) -> dict[str, Any]:
    """Mean of a value per image, and its standard error if there are several."""
    values, n = np.asarray(values, np.float64), len(values)
    return {
        "value": float(values.mean()),
        "standard_error": float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else None,
        "images": len(values),
    }
