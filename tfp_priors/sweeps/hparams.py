"""Sweeps in TensorBoard's HParams page."""

from pathlib import Path

from tfp_priors.sweeps.axes import number_or_text
from tfp_priors.sweeps.results import table
from tfp_priors.sweeps.results import values_of

_SUFFIX = ".hparams"


def write_hparams(out: str | Path) -> None:
    """Writes what TensorBoard's HParams page shows of the runs in a folder.

    The metrics are those that bin/evaluate has put into `RUN/evaluation`. Imports
    TensorFlow.
    """
    from tensorboard.plugins.hparams import api
    from tensorflow import summary

    rows, by_run = table(out), values_of(out)
    names = dict.fromkeys(name for values in by_run.values() for name in values)
    metrics = dict.fromkeys(row["metric"] for row in rows)

    def events(folder, write):
        for old in Path(folder).glob(f"*{_SUFFIX}"):
            old.unlink()
        writer = summary.create_file_writer(str(folder), filename_suffix=_SUFFIX)
        with writer.as_default(step=0):
            write()
        writer.close()

    events(
        out,
        lambda: api.hparams_config(
            hparams=[api.HParam(name) for name in names],
            metrics=[api.Metric(name, group="evaluation") for name in metrics],
        ),
    )
    for run in dict.fromkeys(row["run"] for row in rows):
        values = {name: number_or_text(text) for name, text in by_run[run].items()}
        events(Path(out) / run, lambda values=values: api.hparams(values, trial_id=run))
