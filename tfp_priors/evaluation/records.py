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


class Recorder:
    """Adds results to `metrics.jsonl` and to the TensorBoard run `evaluation`.

    Args:
      folder: where both are.
      step: training steps of what was measured, or None.
      context: what every line says besides the result, such as the data set.
    """

    def __init__(self, folder: str | Path, step: int | None, **context):
        self._folder = Path(folder)
        self._step = step
        self._context = context

    def add(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Records results with a "name" and a "value" each, and returns what it says.

        Those of one metric should be given together: they are there all or not at all.
        """
        time = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        records = [
            result
            | {"step": self._step}
            | self._context
            | {"commit": commit(), "tfp_priors": __version__, "time": time}
            for result in results
        ]
        record_metrics(self._folder, records)
        with (
            disk_errors_named(self._folder),
            self._writer.as_default(step=self._step or 0),
        ):
            for record in records:
                tf.summary.scalar(record["name"], record["value"])
        return records

    @functools.cached_property
    def _writer(self):
        """Made for the first result: one that fails leaves no file."""
        return tf.summary.create_file_writer(str(self._folder / "evaluation"))
