"""The results of a sweep: what its runs have measured, as a table."""

import contextlib
import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfp_priors import remote
from tfp_priors.evaluation.metrics import NETWORKS
from tfp_priors.files import write_text
from tfp_priors.runs import run_dir

#: Name of the axis that is the seed of training and evaluation.
SEED = "seed"

#: What `grid.describe` writes into the folder of each run.
DESCRIPTION = "sweep.json"

#: What `Halving.record_stop` writes into the folder of a run.
STOPPED = "stopped_early.json"

# Of a metric's record, what a table of results need not repeat.
_LEFT_OUT = (
    "metric",
    "seed",
    "of",
    "dataset",
    "extractor_identity",
    "networks",
    "tfp_priors",
)


def values_of(out: str | Path) -> dict[str, dict[str, str]]:
    """The values by axis of each run in a folder, by the run's name."""
    return {
        path.parent.name: description(path.parent)["values"]
        for path in sorted(Path(out).glob(f"*/{DESCRIPTION}"))
    }


def table(out: str | Path) -> list[dict]:
    """The results of all runs in a folder, also of several grids.

    Results by another seed or network than the grid's last flags name are left out, so
    that those of one metric can be compared.

    Returns:
      A row for each result: the run's values by axis, "run", "metric", "value" and
      what else the metric tells.
    """
    rows = []
    for run, values in values_of(out).items():
        for result in results_of(Path(out) / run):
            told = {key: result[key] for key in result if key not in _LEFT_OUT}
            metric = told.pop("name")
            rows.append(values | {"run": run, "metric": metric} | told | values)
    return rows


def write_results(out: str | Path) -> Path:
    """Writes `OUT/results.csv`: the table, and a line for each run stopped early.

    Such a line has the metric "stopped_early" and no value, so that nothing compares it
    with those of finished runs; "step", "by" and "held_out" say when and by what.

    Returns:
      Its path.
    """
    stops = [
        values | {"run": run, "metric": "stopped_early", "value": None} | stop
        for run, values in values_of(out).items()
        if (stop := stopped_early(Path(out) / run))
    ]
    path = Path(out) / "results.csv"
    write_table([*table(out), *stops], path)
    return path


def stopped_early(folder: Path) -> dict:
    """When a run was stopped early and by what; nothing if it was not or is done."""
    path = folder / STOPPED
    if run_dir.finished_step(folder) is not None or not path.is_file():
        return {}
    return json.loads(path.read_text(encoding="utf-8"))


def write_table(rows: Sequence[Mapping], path: str | Path) -> None:
    """Writes rows as CSV; the columns are all keys in the order they first appear."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def results_of(folder: Path, measured_by: dict[str, str] | None = None) -> list[dict]:
    """The results of a run's finished model, by a seed and networks.

    Args:
      folder: of the run.
      measured_by: the seed and the networks, see `grid.Run`; None: those that its
        `description` names.
    """
    if measured_by is None:
        measured_by = description(folder).get("measured_by", {})
    step = run_dir.kept_step(folder)
    return run_dir.metrics(
        folder,
        lambda result: result["step"] == step and _is_by(result, measured_by),
    )


def _is_by(result, measured_by):
    """Whether a result stands on the seed and the network that flags name."""
    seed, name = str(result.get(SEED)), result.get("extractor")
    if SEED in result and measured_by.get(SEED, seed) != seed:
        return False
    if str(result.get("metric")).startswith("lpips"):
        name = "lpips"
    path = measured_by.get(NETWORKS.get(name))
    if path is None:
        return True
    if name in ("classifier", "keypoints"):
        # It may have been trained anew in its folder, or be the same in another.
        return result["extractor_identity"] == f"{name}-{_newest_weights(path)}"
    # Earlier releases did not tell.
    return result.get("networks", measured_by).get(NETWORKS[name]) == path


def _newest_weights(folder):
    """The checksum of a run's newest checkpoint, or None."""
    folder = remote.local(folder).expanduser()
    *_, newest = None, *run_dir.checkpoints_in(folder / "checkpoints").values()
    with contextlib.suppress(KeyError, OSError, TypeError, ValueError):
        return json.loads((newest / "checkpoint.json").read_text())["sha256"]
    return None


def description(folder: str | Path) -> dict:
    """What `grid.describe` has written about a run; nothing if it has not."""
    path = Path(folder) / DESCRIPTION
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
