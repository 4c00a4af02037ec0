"""What a report says of one run."""

import io
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import MaxNLocator

from tfp_priors.errors import UserError
from tfp_priors.evaluation import metrics
from tfp_priors.figures.style import LINE_COLOURS
from tfp_priors.figures.style import new_figure
from tfp_priors.report.page import Block
from tfp_priors.report.page import Code
from tfp_priors.report.page import KeyValues
from tfp_priors.report.page import Picture
from tfp_priors.report.page import Section
from tfp_priors.report.page import Table
from tfp_priors.report.page import Text
from tfp_priors.report.page import text
from tfp_priors.runs import run_dir as runs
from tfp_priors.runs.scalars import Scalars

# Parameters of a model, in the order in which they are told.
_PARTS = (
    "encoder",
    "posterior",
    "prior",
    "decoder",
    "likelihood",
    "divergence",
    "beta",
    "regularizers",
)

# Columns of a table of results, by the key in a record.
_COLUMNS = {
    "value": "value",
    "standard_error": "standard error",
    "reconstructions": "reconstructions",
    "floor": "floor",
    "real": "real images",
    "step": "step",
}

#: What a picture shows, by the beginning of its name.
CAPTIONS = {
    "samples": "Draws of the prior, decoded.",
    "reconstructions": "Test images, each row above its reconstructions.",
    "labels": "A row of draws for each label.",
    "poses": "Test images, their conditions, and draws given the same.",
    "transfers": "Test images (left), and their appearance under others' conditions.",
    "appearances": "Paths between the appearances of two images, under one condition.",
    "interpolations": "Paths between the codes of two images, decoded.",
    "latent_panels": "Codes of test images and draws of the prior.",
    "code_scatter": "Codes, and draws of the prior, in the plane of the codes.",
    "code_paths": "Paths between codes, and the log density along them.",
    "attribute": "Test images that get an attribute, step by step.",
    "attribute_curves": "A classifier's probability of the attribute along the paths.",
    "neighbours": "Samples above the training and test images nearest to them.",
    "models": "A row of samples for each run.",
    "draws": "A row of samples for each run of the sweep's first seed.",
}

# Of a start's record, what is told elsewhere.
_NOT_ENVIRONMENT = ("time", "command", "seed")


def run_sections(run_dir: str | Path, figures: str | Path | None) -> list[Section]:
    """The sections of a run's report: what it is, results, curves, pictures.

    What is missing is replaced by a line with the command that makes it.

    Args:
      run_dir: folder of the run.
      figures: folder of pictures, PNG or SVG, or None.

    Raises:
      UserError: if a picture is none.
    """
    run_dir = Path(run_dir)
    config = (run_dir / runs.CONFIG).read_text(encoding="utf-8")
    where = shlex.quote(str(run_dir))
    pictures = picture_blocks(figures) + _pictures_of_training(run_dir, figures)
    make_pictures = Text(
        f"No pictures yet: bin/figures --run_dir={where} --out=FIGURES makes them."
    )
    return [
        Section("Run", [KeyValues(_facts(run_dir, runs.bindings(config)))]),
        Section("Pictures", pictures or [make_pictures]),
        Section("Results", _results(run_dir, where)),
        Section("Curves", _curves(run_dir, where)),
        Section("Configuration", [Code(config, runs.CONFIG)]),
        Section("Environment", list(_environment(runs.environments(run_dir)))),
    ]


def results_table(results: Sequence[Mapping[str, Any]], caption: str) -> Table:
    """A line for each result.

    Args:
      results: records with a "name" and a "value", as of `run_dir.metrics`: None if
        no number came out, which the table says.
      caption: of the table.
    """
    results = [
        r | {"value": "no number" if r["value"] is None else r["value"]}
        for r in results
    ]
    columns = [key for key in _COLUMNS if any(r.get(key) is not None for r in results)]
    rows = [
        {"metric": r["name"]} | {_COLUMNS[key]: r.get(key) for key in columns}
        for r in results
    ]
    return Table(rows, caption)


def descriptions(results: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What the protocols of results are, by name; those unknown are left out."""
    described = {}
    for result in results:
        # Several results may come of one metric, under names of their own.
        name = result.get("metric", result["name"])
        try:
            described[name] = metrics.find(name).metric.description
        except UserError:
            continue
    return described


def picture_blocks(figures: str | Path | None) -> list[Block]:
    """The pictures of a folder, those with a known caption first.

    Of a picture in both formats, the PNG is shown.

    Raises:
      UserError: if a file is called .png or .svg, and is none.
    """
    if figures is None:
        return []
    known = list(CAPTIONS)

    def order(path):
        stem = _known(path.stem)
        return (known.index(stem) if stem else len(known), path.name)

    found = {
        path.stem: path
        for suffix in ("svg", "png")
        for path in Path(figures).glob(f"*.{suffix}")
    }
    paths = sorted(found.values(), key=order)
    return [_picture(path, _caption(path)) for path in paths]


def environment_block(records: Sequence[Mapping[str, Any]], unit: str) -> Block:
    """Commit, versions and devices of records, each with its number if they differ.

    Args:
      records: as of `run_dir.environments`.
      unit: what a record is of, in the plural.
    """
    if not records:
        return Text("No record of versions and devices: bin/train writes it.")
    values = {}
    keys = dict.fromkeys(key for record in records for key in record)
    for key in keys:
        if key in _NOT_ENVIRONMENT:
            continue
        counts = Counter(text(record.get(key)) or "unknown" for record in records)
        values[key] = ", ".join(
            value if len(counts) == 1 else f"{value} ({count} of {len(records)} {unit})"
            for value, count in counts.items()
        )
    return KeyValues(values)


def steps_done(run_dir: str | Path) -> int:
    """Steps of a finished training, or of its newest checkpoint; 0 without one."""
    finished = runs.finished_step(run_dir)
    if finished is not None:
        return finished
    joint = Path(run_dir) / "checkpoints"
    folders = joint, joint / "at_rest"
    return max([0, *(step for each in folders for step in runs.checkpoints_in(each))])


def _facts(run_dir, bindings):
    # Of the defaults that took effect, only those of the model itself are told.
    operative = run_dir / runs.OPERATIVE_CONFIG
    defaults = {}
    if operative.is_file():
        defaults = runs.bindings(operative.read_text(encoding="utf-8"))
    model = _class_name(bindings.get("train.model", ""))
    dataset = _expanded(bindings.get("load_dataset.name", ""), bindings)
    facts = {"model": model, "data set": dataset.strip("'")}
    for part in _PARTS:
        name = f"{model}.{part}"
        facts[part] = _expanded(bindings.get(name, defaults.get(name)), bindings)
    # Fitted to the codes of a finished autoencoder.
    facts["afterwards"] = _expanded(bindings.get("train.post_hoc"), bindings)
    facts["optimizers"] = _expanded(bindings.get("train.optimizers"), bindings)
    facts["steps"] = _steps(run_dir, _expanded(bindings.get("train.steps"), bindings))
    facts["folder"] = run_dir
    return {key: value for key, value in facts.items() if value not in (None, "", "()")}


def _steps(run_dir, wanted):
    done = steps_done(run_dir)
    of = f" of {wanted}" if wanted else ""
    if wanted and wanted.isdecimal() and done > int(wanted):
        of = f", {done - int(wanted)} of them of the prior at rest"
    if runs.finished_step(run_dir) is not None:
        return f"{done}{of}, finished"
    return f"{done}{of} at the newest checkpoint" if done else f"no checkpoint{of}"


def _class_name(reference):
    return re.split(r"[./@]", reference.removesuffix("()"))[-1]


def _expanded(value: str | None, bindings, within=()) -> str | None:
    """A value of gin with its macros replaced, and its classes with their bindings.

    "@RealNVPPrior()" becomes "RealNVPPrior(latent_size=8)", and "%LATENT_SIZE" 8.
    """
    if value is None or value == "None":
        return None

    def replaced(match):
        name = match[0].removesuffix("()")
        if name in within:
            return match[0]
        inside = (*within, name)
        if name.startswith("%"):
            return _expanded(bindings.get(name[1:], name), bindings, inside) or "None"
        *_, plain = name[1:].split("/")
        given = {}
        for owner in (plain, name[1:]):
            given |= {
                key.removeprefix(f"{owner}."): _expanded(bound, bindings, inside)
                for key, bound in bindings.items()
                if re.fullmatch(rf"{re.escape(owner)}\.\w+", key)
            }
        arguments = ", ".join(f"{key}={bound}" for key, bound in given.items())
        return f"{_class_name(name)}({arguments})"

    return re.sub(r"%[\w./]+|@[\w./]+(?:\(\))?", replaced, value)


def _results(run_dir, where):
    results = runs.metrics(run_dir)
    if not results:
        return [Text(f"No results yet: bin/evaluate --run_dir={where} measures them.")]
    blocks: list[Block] = [results_table(results, "The newest result of each metric")]
    described = descriptions(results)
    return [*blocks, KeyValues(described)] if described else blocks


def _curves(run_dir, where):
    scalars = read_scalars(run_dir / "tensorboard")
    if not scalars:
        return [
            Text(
                f"No curves: {where}/tensorboard has no scalars train/*, which "
                "bin/train writes every train.scalars_every steps."
            )
        ]
    picture = Picture(
        draw_curves(scalars),
        "Means over the steps since the point before, against the step.",
        f"Curves of {', '.join(scalars)} against the step.",
        is_drawing=True,
    )
    return [picture, Text(f"More: tensorboard --host=localhost --logdir={where}")]


def read_scalars(folder: Path) -> dict[str, dict[int, float]]:
    """The scalars train/* of TensorBoard events: values by step by name.

    Where a resumed training has taken a step again, the newer value counts.
    """
    scalars: dict[str, dict[int, float]] = {}
    for tag, step, value in Scalars(folder, "train/").new():
        scalars.setdefault(tag.removeprefix("train/"), {})[step] = value
    return {name: dict(sorted(scalars[name].items())) for name in sorted(scalars)}


def draw_curves(scalars: Mapping[str, Mapping[int, float]]) -> bytes:
    """An SVG with a panel for each scalar; the axis is logarithmic where it spans much.

    Args:
      scalars: values by step by name.
    """
    columns = 2
    rows = -(-len(scalars) // columns)
    file = io.BytesIO()
    with new_figure(6.4, 1.8 * rows, layout="constrained") as figure:
        figure.get_layout_engine().set(h_pad=0.1)
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True).flat
        for axes, (name, points) in zip(panels, scalars.items(), strict=False):
            values = list(points.values())
            # A line of one point would not be seen.
            marker = "." if len(values) < 10 else None
            axes.plot(list(points), values, LINE_COLOURS[0], marker=marker)
            axes.set_title(name)
            axes.set_facecolor("none")
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.tick_params(labelbottom=True)
            if 0 < min(values) < max(values) / 30:
                axes.set_yscale("log")
        for axes in list(figure.axes)[len(scalars) :]:
            axes.remove()
        figure.savefig(file, format="svg", facecolor="none", metadata={"Date": None})
    return file.getvalue()


def _known(stem):
    """The name in `CAPTIONS` of a picture, or None."""
    name = "draws" if stem.startswith("draws_") else stem.rstrip("0123456789")
    return name if name in CAPTIONS else None


def _caption(path):
    known = _known(path.stem)
    if known is None:
        return path.name
    return CAPTIONS[known] if path.stem == known else f"{path.stem}: {CAPTIONS[known]}"


def _picture(path, caption):
    alt = caption
    table = path.with_suffix(".csv")
    if table.is_file():
        caption = f"{caption.removesuffix('.')}. Its numbers are in {table.name}."
    return Picture.read(path, caption, alt)


def _pictures_of_training(run_dir, figures) -> list[Block]:
    """The newest pictures that bin/train has left, where the folder has none."""
    newest = {}
    for path in sorted(run_dir.glob("samples/*.png")):
        name, _, step = path.stem.rpartition("_")
        if name and step.isdigit():
            newest[name] = path, int(step)
    blocks = []
    for name, (path, step) in newest.items():
        if figures is None or not (Path(figures) / f"{name}.png").is_file():
            caption = CAPTIONS.get(name, f"{name}.")
            blocks.append(_picture(path, f"{caption} At step {step}, by bin/train."))
    return blocks


def _environment(starts) -> Iterator[Block]:
    yield environment_block(starts, "starts")
    for start in starts:
        label = f"Started {start['time']}, seed {start['seed']}:"
        yield Text(label)
        # Of the console script a record has the name of the command alone.
        script = [] if "/" in start["command"][0] else ["tfp-priors"]
        yield Code(shlex.join([*script, *start["command"]]), label)
