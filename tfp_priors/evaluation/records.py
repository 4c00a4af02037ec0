"""Results on disk: a line of JSON and a TensorBoard scalar each."""

import datetime
import functools
import json
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfp_priors import __version__
from tfp_priors.commit import commit


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

    def add(self, result: dict[str, Any]) -> str:
        """Records a result with a "name" and a "value", and returns its line."""
        time = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        line = json.dumps(
            result
            | {"step": self._step}
            | self._context
            | {"commit": commit(), "tfp_priors": __version__, "time": time}
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        with open(self._folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(line + "\n")
        with self._writer.as_default(step=self._step or 0):
            tf.summary.scalar(result["name"], result["value"])
        self._writer.flush()
        return line

    @functools.cached_property
    def _writer(self):
        """Made for the first result: one that fails leaves no file."""
        return tf.summary.create_file_writer(str(self._folder / "evaluation"))
