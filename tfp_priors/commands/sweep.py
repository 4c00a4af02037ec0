"""Trains and measures many configurations, and gathers the results.

  bin/sweep --out=sweeps/beta --gin_file="gin/{data}_{model}.gin" \\
      --grid=data=mnist,fashion_mnist --grid=model=vae,fp_vae,aae,prior_aae \\
      --grid=BETA=0.0,1e-3,1e-2,0.1,1.0 --grid=seed=0,1,2 \\
      --classifier="runs/{data}_classifier" --metrics=fcd10k_test
  bin/sweep --out=sweeps/search --gin_file=gin/mnist_vae.gin \\
      --search="BETA=log(1e-4,1)" --trials=40 --metric=nll500_iw100_held_out

An axis is a gin binding, the seed, or the word that stands in braces in other flags.
Runs go to OUT/NAME, their output to OUT/logs, all results to OUT/results.csv and to the
HParams page of TensorBoard. Called again, it leaves out what is done, resumes what was
interrupted, tries again what failed and measures again by another --classifier. Grids
may share a folder.

--grid takes all values, --search those of Optuna that promise the best --metric, which
must be one of held-out images. --launcher=local carries runs out here, ray and slurm on
the machines of a cluster that share the folders. --halving stops runs early that are
behind on held-out images.
"""

import concurrent.futures
import contextlib
import math
import multiprocessing
import shlex
import signal
from pathlib import Path

from absl import flags

from tfp_priors import remote
from tfp_priors.commands import command
from tfp_priors.commands import gin_flags
from tfp_priors.errors import RunsFailedError
from tfp_priors.errors import UserError
from tfp_priors.runs.run_dir import LARGE
from tfp_priors.runs.run_dir import RunLock

_OUT = flags.DEFINE_string("out", None, "Folder of the sweep.")
_GRID = flags.DEFINE_multi_string(
    "grid", [], "An axis, NAME=VALUE,VALUE,...; repeatable."
)
_SEARCH = flags.DEFINE_multi_string(
    "search",
    [],
    "What to search: NAME=log(A,B), lin(A,B), int(A,B) or VALUE,VALUE,...; repeatable.",
)
_TRIALS = flags.DEFINE_integer("trials", None, "Runs of the search in all.")
_METRIC = flags.DEFINE_string(
    "metric", None, "What the search goes by, such as nll500_iw100_held_out."
)
_MAXIMIZE = flags.DEFINE_boolean(
    "maximize", False, "The metric is the better the higher."
)
_GIN_FILE = flags.DEFINE_multi_string("gin_file", [], "As in bin/train; repeatable.")
_GIN_PARAM = flags.DEFINE_multi_string("gin_param", [], "As in bin/train; repeatable.")
_STEPS = flags.DEFINE_integer("steps", None, "As in bin/train.", lower_bound=1)
_STRATEGY = flags.DEFINE_enum(
    "strategy", None, gin_flags.STRATEGIES, "As in bin/train."
)
_METRICS = flags.DEFINE_list(
    "metrics", [], "As in bin/evaluate [how well the prior matches the codes]."
)
_CLASSIFIER = flags.DEFINE_string("classifier", None, "As in bin/evaluate.")
_KEYPOINT_REGRESSOR = flags.DEFINE_string(
    "keypoint_regressor", None, "As in bin/evaluate."
)
_INCEPTION_DIR = flags.DEFINE_string("inception_dir", None, "As in bin/evaluate.")
_LPIPS_WEIGHTS = flags.DEFINE_string("lpips_weights", None, "As in bin/evaluate.")
_CACHE_DIR = flags.DEFINE_string("cache_dir", None, "As in bin/evaluate.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of prepared data [TFDS's].")
_LAUNCHER = flags.DEFINE_string(
    "launcher", "local", "Where runs are carried out: local, ray or slurm."
)
_JOBS = flags.DEFINE_integer(
    "jobs",
    None,
    "Runs at a time [local: 1; ray: as many as there is room for; slurm: all].",
    lower_bound=1,
)
_CPUS = flags.DEFINE_float(
    "cpus", None, "Processors of a run on ray or slurm; on ray 0.5 is half a one."
)
_GPUS = flags.DEFINE_float("gpus", None, "GPUs of a run, likewise.", lower_bound=0)
_SBATCH = flags.DEFINE_multi_string(
    "sbatch", [], "Option of Slurm's sbatch, such as partition=gpu; repeatable."
)
_RETRIES = flags.DEFINE_integer(
    "retries", 0, "How often a run that dies is tried again.", lower_bound=0
)
_HALVING = flags.DEFINE_string(
    "halving", None, "Stop runs early by this: prior_nll or val_loss [none is stopped]."
)
_HALVING_FROM = flags.DEFINE_integer(
    "halving_from", None, "Steps after which runs are first compared."
)
_HALVING_FACTOR = flags.DEFINE_integer(
    "halving_factor", 3, "One of so many goes on, to so many times the steps."
)
_PRINT_COMMANDS = flags.DEFINE_boolean(
    "print_commands", False, "Print a line for each run that is left, for a job array."
)
flags.adopt_module_key_flags(gin_flags)

# What it does not need of runs on a store.
WITHOUT = LARGE


def main():
    from tfp_priors import sweeps

    _check_flags()
    out = Path(_OUT.value)
    halving = None
    if _HALVING.value is not None:
        halving = sweeps.Halving(
            _HALVING.value, _HALVING_FROM.value, _HALVING_FACTOR.value
        )

    def is_left(run):
        # Without --halving those that were stopped early go on.
        stopped = halving is not None and sweeps.stopped_early(run.folder)
        return not (run.is_done or stopped)

    if _SEARCH.value:
        first, source = _search(out, is_left)
        count = _TRIALS.value
    else:
        first, source = _grid(out, is_left)
        count = len(first)
    for run in first:
        sweeps.check_networks(run)
    _check([run for run in first if not run.is_trained], _SEARCH.value or halving)
    if _PRINT_COMMANDS.value:
        sweeps.describe(first)
        for run in filter(is_left, first):
            command.say(sweeps.command_line(run))
        return
    # Fewer have larger shares of a machine.
    launcher = _launcher(
        out, count if _SEARCH.value else max(1, sum(map(is_left, first)))
    )
    with contextlib.closing(launcher), RunLock(out):
        source = source()
        sweeper = sweeps.Sweeper(
            source,
            launcher,
            _RETRIES.value,
            halving,
            lambda: sweeps.write_results(out),
        )
        failures = sweeper.run()
        results = sweeps.write_results(out)
        command.import_tensorflow()
        sweeps.write_hparams(out)
    if sweeper.stopped:
        command.tell("Stopped; the same command goes on.")
    if halving is not None and not halving.has_values:
        command.tell(
            f"No run has written {_HALVING.value}: none could be stopped by it."
        )
    if failures:
        raise RunsFailedError(
            f"{len(failures)} of {count} runs failed: {', '.join(failures)}. See "
            f"{out / 'logs'}; the same command tries them again."
        )
    command.say(f"Results in {results}")
    _tell_next(out, source)


def _launcher(out, most):
    """What carries out this many runs at most at a time."""
    from tfp_priors import sweeps

    return sweeps.find_launcher(_LAUNCHER.value)(
        sweeps.Options(
            out / "logs",
            _JOBS.value and min(_JOBS.value, most),
            _CPUS.value,
            _GPUS.value,
            tuple(_SBATCH.value),
        )
    )


def _tell_next(out, source):
    """Says what a search has found, and the commands that show more."""
    where = shlex.quote(str(out))
    if _SEARCH.value and (best := source.best()):
        run, value = best
        command.say(f"Best {source.metric} = {value:.6g} of {run.folder}")
        command.say(
            f"  bin/figures --run_dir={shlex.quote(str(run.folder))} --out=figures"
        )
    else:
        command.say(f"  bin/figures --sweep={where} --out=figures")
    command.say(f"  tensorboard --host=localhost --logdir={where}")


def _check_flags():
    """Refuses flags that do not go together."""
    searches = bool(_SEARCH.value)
    if not _OUT.value or not _GIN_FILE.value or not (_GRID.value or searches):
        raise UserError(
            "expected --out, --gin_file and --grid or --search, see --help."
        )
    if Path(_OUT.value).exists() and not Path(_OUT.value).is_dir():
        raise UserError(
            f"--out={_OUT.value} is a file: expected the folder of a sweep."
        )
    if _GRID.value and searches:
        raise UserError(
            "--grid takes all values and --search chooses: give one of them; a list of "
            "choices is a space of --search too."
        )
    _check_search_flags(searches)
    if _HALVING.value is not None and remote.is_remote(remote.named(_OUT.value)):
        raise UserError(
            "--halving reads what runs write as they train: expected an --out on a "
            "disk that all machines share."
        )
    if (_HALVING.value is None) != (_HALVING_FROM.value is None):
        raise UserError(
            "expected both --halving=MEASURE and --halving_from=STEPS, or neither."
        )
    if _CPUS.value is not None and not 0 < _CPUS.value < math.inf:
        raise UserError(f"expected --cpus > 0, received {_CPUS.value:g}.")
    if _GPUS.value is not None and not 0 <= _GPUS.value < math.inf:
        raise UserError(f"expected a finite --gpus >= 0, received {_GPUS.value:g}.")
    if _HALVING.value is None and flags.FLAGS["halving_factor"].present:
        raise UserError("--halving_factor is of --halving: expected --halving=MEASURE.")
    if _HALVING_FROM.value and _STEPS.value and _HALVING_FROM.value >= _STEPS.value:
        raise UserError(
            f"expected --halving_from below --steps={_STEPS.value}, received "
            f"{_HALVING_FROM.value}."
        )
    if _PRINT_COMMANDS.value and flags.FLAGS["launcher"].present:
        raise UserError(
            "--print_commands carries nothing out: leave it or --launcher out."
        )


def _check_search_flags(searches):
    """Refuses what --search lacks, or what goes without it."""
    for name in ("trials", "metric"):
        if (flags.FLAGS[name].value is not None) != searches:
            raise UserError(
                f"--search needs --trials and --metric, and they need --search: "
                f"--{name} is {'missing' if searches else 'given without it'}."
            )
    if searches and _TRIALS.value < 1:
        raise UserError(f"expected --trials >= 1, received {_TRIALS.value}.")
    if _MAXIMIZE.value and not searches:
        raise UserError("--maximize is of --metric, which --search goes by.")
    if searches and _PRINT_COMMANDS.value:
        raise UserError(
            "--print_commands cannot tell the runs of a --search, which depend on "
            "results: expected --grid."
        )
    if searches and _LAUNCHER.value == "slurm" and _JOBS.value is None:
        raise UserError(
            "expected --jobs with --search on slurm: how many trials are at work at a "
            "time, since each learns from those that have ended."
        )


def _flags():
    """The flags that go to bin/train and to bin/evaluate."""
    return (
        [
            *_given("gin_file", "gin_param", "steps", "strategy", "data_dir"),
            *_given("allow_gin_imports"),
        ],
        [
            *_given("classifier", "keypoint_regressor", "inception_dir"),
            *_given("lpips_weights", "cache_dir", "strategy", "data_dir"),
            *_given("allow_gin_imports"),
        ],
    )


def _grid(out, is_left):
    """The runs of the grid, and a function that makes their source."""
    from tfp_priors import sweeps
    from tfp_priors.evaluation import metrics

    axes = [sweeps.parse_axis(text) for text in _GRID.value]
    runs = sweeps.plan(out, axes, *_flags(), _METRICS.value or metrics.DEFAULTS)

    def source():
        sweeps.describe(runs)
        listed = sweeps.Listed(runs, is_left)
        done = len(runs) - listed.total
        command.tell(f"{len(runs)} runs in {out}, {done} of them done.")
        return listed

    return runs, source


def _search(out, is_left):
    """Runs to be checked before a search, and a function that makes its source."""
    from tfp_priors import sweeps

    spaces = [sweeps.parse_space(text) for text in _SEARCH.value]
    metric = sweeps.check_metric(_METRIC.value)
    names = [space.name for space in spaces]
    measured = [metric, *(name for name in _METRICS.value if name != metric)]
    planner = sweeps.Planner(out, names, *_flags(), measured, "--search")

    def source():
        search = sweeps.Search(
            out, planner, spaces, _TRIALS.value, metric, _MAXIMIZE.value, is_left
        )
        # Of fewer trials than there were, none may be new and some still open.
        done = max(0, _TRIALS.value - search.total)
        command.tell(f"{_TRIALS.value} trials in {out}, {done} of them done.")
        return search

    return sweeps.corners(planner, spaces), source


def _check(runs, needs_held_out):
    """Refuses a configuration before any is trained."""
    if runs:
        # TensorFlow's threads must not be there when the runs are started.
        process = concurrent.futures.ProcessPoolExecutor(
            1,
            multiprocessing.get_context("fork"),
            # Ctrl-C ends it without a word.
            initializer=signal.signal,
            initargs=(signal.SIGINT, signal.SIG_DFL),
        )
        with process:
            process.submit(_parse, runs, bool(needs_held_out)).result()


def _parse(runs, needs_held_out):
    config = gin_flags.config()
    for run in runs:
        try:
            of_flags = [
                f"train.{name} = {value}"
                for name in ("steps", "seed")
                for value in run.given(name)
            ]
            config.parse(run.given("gin_file"), [*run.given("gin_param"), *of_flags])
            trainer = config.trainer()
            if needs_held_out and not trainer.validation_share:
                raise UserError(
                    "train.validation_share is 0, so that it holds no images out that "
                    "--search and --halving could choose by: expected one above 0."
                )
        except UserError as error:
            raise UserError(f"run {run.name}: {error}") from None


def _given(*names):
    """The flags of these names that have a value, as they are passed on."""
    for name in names:
        value = flags.FLAGS[name].value
        values = value if isinstance(value, list) else [value]
        given = (one for one in values if one is not None and one is not False)
        yield from (f"--{name}={remote.named(one)}" for one in given)
