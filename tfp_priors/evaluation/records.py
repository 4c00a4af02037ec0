"""Results on disk: a line of JSON and a TensorBoard scalar each."""

import datetime
import functools
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfp_priors import __version__
from tfp_priors.files import disk_errors_named
from tfp_priors.runs.commit import commit
from tfp_priors.runs.run_dir import record_metrics


def record(
    folder: str | Path, results: list[dict[str, Any]], step: int | None, **context
) -> list[dict[str, Any]]:
    """Adds results to `metrics.jsonl` and to the TensorBoard run `evaluation`.

    Those of one metric should be given together: they are there all or not at all.

    Args:
      folder: where both are.
      results: with a "name" and a "value" each.
      step: training steps of what was measured, or None.
      context: what every line says besides the result, such as the data set.

    Returns:
      What the lines say.
    """
    time = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    lines = [
        result
        | {"step": step}
        | context
        | {"commit": commit(), "tfp_priors": __version__, "time": time}
        for result in results
    ]
    record_metrics(Path(folder), lines)
    with disk_errors_named(folder), _writer(folder).as_default(step=step or 0):
        for line in lines:
            tf.summary.scalar(line["name"], line["value"])
    return lines


@functools.cache
def _writer(folder):
    """One for all results of a folder, so that they are in one file."""
    return tf.summary.create_file_writer(str(Path(folder) / "evaluation"))
