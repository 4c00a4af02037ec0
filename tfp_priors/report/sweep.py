"""What a report says of a sweep."""

import shlex
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tfp_priors import sweeps
from tfp_priors.report.page import Block
from tfp_priors.report.page import Details
from tfp_priors.report.page import KeyValues
from tfp_priors.report.page import Section
from tfp_priors.report.page import Table
from tfp_priors.report.page import Text
from tfp_priors.report.page import text
from tfp_priors.report.run import descriptions
from tfp_priors.report.run import environment_block
from tfp_priors.report.run import picture_blocks
from tfp_priors.report.run import results_table
from tfp_priors.report.run import steps_done
from tfp_priors.runs import run_dir


class _Run(NamedTuple):
    """A point of the grid.

    Attributes:
      name: of its folder.
      values: by axis.
      folder: of the run.
      results: records of its finished model; a "value" is None if it is no number.
    """

    name: str
    values: dict[str, str]
    folder: Path
    results: list[dict[str, Any]]


def sweep_sections(out: str | Path, figures: str | Path | None) -> list[Section]:
    """The sections of a sweep's report: the grid, a table per metric, the runs.

    Args:
      out: folder of the sweep.
      figures: folder of pictures, PNG or SVG, or None.

    Raises:
      UserError: if a picture is none.
    """
    out = Path(out)
    runs = [
        _Run(name, values, out / name, sweeps.results_of(out / name))
        for name, values in sweeps.values_of(out).items()
    ]
    axes = _axes(runs)
    where = shlex.quote(str(out))
    make_pictures = Text(
        f"No pictures yet: bin/figures --sweep={where} --out=FIGURES makes them."
    )
    return [
        Section("Grid", [KeyValues(_grid(out, runs, axes))]),
        Section("Results", list(_tables(runs, axes))),
        Section("Pictures", picture_blocks(figures) or [make_pictures]),
        Section("Any two metrics", _all_runs(runs)),
        Section("Runs", [_details(run) for run in runs]),
        Section("Environments", _environments(runs)),
    ]


def _axes(runs) -> dict[str, list[str]]:
    """The values of each axis: numbers ascending, others as they first appear."""
    axes: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for run in runs for name in run.values):
        values = [run.values[name] for run in runs if name in run.values]
        axes[name] = list(dict.fromkeys(values))
        if _is_numeric(axes[name]):
            axes[name].sort(key=float)
    return axes


def _grid(out, runs, axes):
    facts = {f"axis {name}": ", ".join(values) for name, values in axes.items()}
    trained = sum(_is_finished(run) for run in runs)
    facts["runs"] = f"{len(runs)}, {trained} of them trained to the end"
    facts["results"] = sum(len(run.results) for run in runs)
    facts["folder"] = out
    return facts


def _tables(runs, axes) -> Iterator[Block]:
    results = [result for run in runs for result in run.results]
    if not results:
        yield Text(
            "No results yet: the bin/sweep command of this folder, run again, goes on."
        )
        return
    names = sorted({r["name"] for r in results if r["value"] is not None})
    across = sweeps.number_axis([run.values for run in runs])
    lines = [axis for axis in axes if axis not in (across, sweeps.SEED)]
    for name in names:
        yield _table(name, runs, lines, across, axes)
    left_out = [
        f"{result['name']} of {run.name}"
        for run in runs
        for result in run.results
        if result["value"] is None
    ]
    if left_out:
        yield Text(f"No number came out; no mean has these: {', '.join(left_out)}.")
    described = dict(sorted(descriptions(results).items()))
    if described:
        yield KeyValues(described)


def _table(name, runs, lines, across, axes):
    cells: dict[tuple, dict[str, list[float]]] = {}
    for run in runs:
        for result in run.results:
            if result["name"] == name and result["value"] is not None:
                line = tuple(run.values.get(axis, "") for axis in lines)
                column = run.values.get(across, "")
                row = cells.setdefault(line, {})
                row.setdefault(column, []).append(float(result["value"]))
    numbers = {len(values) for row in cells.values() for values in row.values()}
    columns = axes[across] if across else [""]
    # Runs of another grid in the folder may lack the axis.
    columns = [c for c in (*columns, "") if any(c in row for row in cells.values())]
    rows = []
    for line in sorted(cells, key=lambda line: _place(line, lines, axes)):
        row = dict(zip(lines, line, strict=True)) if lines else {"metric": name}
        for column in dict.fromkeys(columns):
            label = f"{across} = {column}" if column else "value"
            values = cells[line].get(column, [])
            row[label] = _summary(values, tell_number=len(numbers) > 1)
        rows.append(row)
    return Table(rows, f"{name}{_meaning(numbers)}")


def _all_runs(runs) -> list[Block]:
    """A row for each run, with its results beside its values."""
    rows = [
        {"run": run.name}
        | run.values
        | {r["name"]: r["value"] for r in run.results if r["value"] is not None}
        for run in runs
    ]
    caption = "Every run; a press on a heading sorts by it."
    return [Table(rows, caption, is_sortable=True)]


def _meaning(numbers):
    if numbers == {1}:
        return ", n = 1"
    each = f"n = {numbers.copy().pop()}" if len(numbers) == 1 else "n in brackets"
    return f", mean ± standard deviation over {sweeps.SEED}, {each}"


def _summary(values: Sequence[float], tell_number: bool) -> str | None:
    if not values:
        return None
    mean = statistics.fmean(values)
    summary = text(mean)
    if len(values) > 1:
        deviation = statistics.stdev(values)
        # Two digits of the deviation say how many of the mean mean something.
        digits = max(0, 1 - _exponent(deviation)) if deviation > 0 else 4
        summary = f"{mean:.{digits}f} ± {deviation:.{digits}f}"
    return f"{summary} (n = {len(values)})" if tell_number else summary


def _exponent(value):
    return int(f"{value:.1e}".partition("e")[2])


def _place(line, lines, axes):
    return [
        axes[axis].index(value) if value else -1
        for axis, value in zip(lines, line, strict=True)
    ]


def _details(run):
    if _is_finished(run):
        state = f": {steps_done(run.folder)} steps"
    else:
        state = f": not finished, {steps_done(run.folder)} steps at its last checkpoint"
    blocks: list[Block] = [KeyValues(run.values)]
    if run.results:
        blocks.append(results_table(run.results, f"Results of {run.name}"))
    else:
        blocks.append(Text("No results of a finished model."))
    return Details(f"{run.name}{state}", blocks)


def _environments(runs):
    starts = [run_dir.environments(run.folder) for run in runs]
    newest = [records[-1] for records in starts if records]
    return [environment_block(newest, "runs")]


def _is_finished(run):
    return run_dir.finished_step(run.folder) is not None


def _is_numeric(values):
    return all(isinstance(sweeps.number_or_text(value), float) for value in values)
