"""Draws the paper's figures of a run, of several runs, or of a sweep.

  bin/figures --run_dir=runs/mnist_beta0 --out=figures --report
  bin/figures --run_dir=runs/mnist_beta0 --out=figures --figures=attribute \\
      --attribute=7 --classifier=runs/mnist_classifier
  bin/figures --run_dir=runs/mnist_vae --run_dir=runs/mnist_beta0 --out=figures
  bin/figures --sweep=sweeps/beta --out=figures --report

Each is a PNG, an SVG and a CSV of the numbers behind it. Of several runs: models, a row
of draws each. Of a sweep: each metric over the last axis of numbers, and draws of its
runs. --list explains the figures of a run. --report adds report.html, one page with all
of it that needs no network.
"""

from pathlib import Path

from absl import flags

from tfp_priors import remote
from tfp_priors.commands import command
from tfp_priors.commands import evaluation
from tfp_priors.errors import UserError

_RUN_DIR = flags.DEFINE_multi_string(
    "run_dir", [], "Folder of a run of bin/train; repeatable."
)
_SWEEP = flags.DEFINE_string("sweep", None, "Folder of bin/sweep.")
_OUT = flags.DEFINE_string("out", None, "Folder for the figures.")
_FIGURES = flags.DEFINE_list("figures", [], "Names, with commas [all that can be].")
_LIST = flags.DEFINE_boolean("list", False, "Explain the figures of a run and end.")
_ATTRIBUTE = flags.DEFINE_integer("attribute", 0, "Attribute or class of figure 7.")
_PAIRS = flags.DEFINE_integer("pairs", 4, "Interpolations.", lower_bound=1)
_REPORT = flags.DEFINE_boolean("report", False, "Write OUT/report.html too.")
flags.adopt_module_key_flags(evaluation)

# What a sweep and a comparison have no use for, and no figure.
_OF_ONE_RUN = ("figures", "attribute", "classifier")
_OF_METRICS = ("keypoint_regressor", "inception_dir", "lpips_weights")


def main():
    if _LIST.value:
        _explain()
        return
    if bool(_RUN_DIR.value) == bool(_SWEEP.value) or not _OUT.value:
        raise UserError(
            "expected --run_dir=FOLDER or --sweep=FOLDER, and --out=FOLDER, see --help."
        )
    if _REPORT.value and len(_RUN_DIR.value) > 1:
        raise UserError("--report is of one run or one sweep: give one --run_dir.")
    given = {name for name in (*_OF_ONE_RUN, *_OF_METRICS) if flags.FLAGS[name].present}
    for name in sorted(given):
        if name in _OF_METRICS:
            raise UserError(f"no figure needs --{name}: it is of bin/evaluate.")
        if len(_RUN_DIR.value) != 1:
            raise UserError(
                f"--{name} is of one run: give one --run_dir, or leave it out."
            )
    if _FIGURES.value and "attribute" not in _FIGURES.value:
        for name in sorted(given & {"attribute", "classifier"}):
            raise UserError(f"--{name} is of --figures=attribute: leave it out.")
    evaluation.networks()
    command.import_tensorflow()
    out = Path(_OUT.value)
    if _SWEEP.value:
        _show_sweep(Path(_SWEEP.value), out)
    elif len(_RUN_DIR.value) > 1:
        names = [Path(folder).name for folder in _RUN_DIR.value]
        if len({*names}) < len(names):
            names = [remote.named(folder) for folder in _RUN_DIR.value]
        _compare(dict(zip(names, _RUN_DIR.value, strict=True)), out, "models")
    else:
        _show_run(_RUN_DIR.value[0], out)
    command.say(f"Figures in {out}")
    if _REPORT.value:
        from tfp_priors.report import write_report

        write_report(_SWEEP.value or _RUN_DIR.value[0], out, out / "report.html")
        command.say(f"Report: {out / 'report.html'}")


def _show_run(run_dir, out):
    from tfp_priors.report import gallery

    for name in _FIGURES.value:
        if name not in gallery.FIGURES:
            raise UserError(
                f"there is no figure {name!r}: choose of {', '.join(gallery.FIGURES)}."
            )
    evaluator = _evaluator(run_dir)
    if not evaluator.subject.of_codes:
        # What is wrong with the data is no figure's fault.
        evaluator.dataset("test")
    choice = {"attribute": _ATTRIBUTE.value, "pairs": _PAIRS.value}
    left_out = []
    # What is asked for first, so that its refusal leaves nothing.
    names = sorted(gallery.FIGURES, key=lambda name: not _is_asked_for(name))
    for name in _FIGURES.value or names:
        try:
            gallery.FIGURES[name](evaluator, out, **choice)
        except UserError:
            if _FIGURES.value or _is_asked_for(name):
                raise
            left_out.append(name)
    if left_out:
        command.say(
            f"Not for this run: {', '.join(left_out)}; --figures=NAME says why."
        )


def _evaluator(run_dir):
    strategy = evaluation.strategy()
    subject, *data = evaluation.subject_of_run(run_dir, strategy)
    return evaluation.evaluator(subject, *data, strategy, Path(run_dir))


def _is_asked_for(figure):
    """Whether a flag that is given is of this figure alone."""
    given = ("attribute", "classifier")
    return figure == "attribute" and any(flags.FLAGS[name].present for name in given)


def _compare(run_dirs, out, name, may_lack=False):
    """A row of draws for each run, or for each of its conditions.

    Args:
      run_dirs: folders by label.
      out: folder of the picture.
      name: of the picture.
      may_lack: leave runs out that draw nothing, such as classifiers.
    """
    from tfp_priors.figures.image_rows import save_image_rows
    from tfp_priors.report import gallery

    draws = {}
    for label, folder in run_dirs.items():
        evaluator = _evaluator(folder)
        if may_lack and evaluator.subject.samples is None:
            continue
        for condition, images in gallery.rows_of(evaluator, _PAIRS.value).items():
            draws[condition, label] = images
    # Rows of one condition below each other.
    rows = {
        f"{condition}, {label}".removeprefix(", "): draws[condition, label]
        for condition, label in sorted(draws, key=lambda key: int(key[0] or -1))
    }
    if rows:
        title = f"Uncurated draws of seed {evaluation.SEED.value}"
        save_image_rows(rows, out / name, title)


def _show_sweep(folder, out):
    from tfp_priors import sweeps
    from tfp_priors.report import gallery

    if sweeps.layout(folder).x is None:
        command.say("No axis of numbers to draw scores over; results.csv has them.")
    gallery.scores(folder, out)
    for panel, runs in sweeps.first_of_each(folder).items():
        name = sweeps.file_name("_".join(["draws", *panel.split()]))
        _compare(runs, out, name, may_lack=True)


def _explain():
    command.import_tensorflow()
    from tfp_priors.report import gallery

    for name, figure in gallery.FIGURES.items():
        command.say(f"{name}\n    {' '.join(figure.__doc__.split())}")
