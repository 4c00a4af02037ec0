"""Trains and measures a grid of configurations, and gathers the results.

  bin/sweep --out=sweeps/beta --gin_file="gin/{data}_{model}.gin" \\
      --grid=data=mnist,fashion_mnist --grid=model=vae,fp_vae,aae,prior_aae \\
      --grid=BETA=0.0,1e-3,1e-2,0.1,1.0 --grid=seed=0,1,2 \\
      --classifier="runs/{data}_classifier" --metrics=fcd10k_test

An axis is a gin binding, the seed, or the word that stands in braces in other flags.
Runs go to OUT/NAME, their output to OUT/logs, all results to OUT/results.csv and to the
HParams page of TensorBoard. Called again, it leaves out what is done, resumes what was
interrupted, tries again what failed and measures again by another --classifier. Grids
may share a folder.
"""

import concurrent.futures
import multiprocessing
import shlex
import signal
import sys
from pathlib import Path

from absl import flags

from tfp_priors.commands import command
from tfp_priors.commands import gin_flags

_OUT = flags.DEFINE_string("out", None, "Folder of the sweep.")
_GRID = flags.DEFINE_multi_string(
    "grid", [], "An axis, NAME=VALUE,VALUE,...; repeatable."
)
_GIN_FILE = flags.DEFINE_multi_string("gin_file", [], "As of bin/train; repeatable.")
_GIN_PARAM = flags.DEFINE_multi_string("gin_param", [], "As of bin/train; repeatable.")
_STEPS = flags.DEFINE_integer("steps", None, "As of bin/train.")
_STRATEGY = flags.DEFINE_string("strategy", None, "As of bin/train.")
_METRICS = flags.DEFINE_list(
    "metrics", [], "As of bin/evaluate [how well the prior matches the codes]."
)
_CLASSIFIER = flags.DEFINE_string("classifier", None, "As of bin/evaluate.")
_KEYPOINT_REGRESSOR = flags.DEFINE_string(
    "keypoint_regressor", None, "As of bin/evaluate."
)
_INCEPTION_DIR = flags.DEFINE_string("inception_dir", None, "As of bin/evaluate.")
_LPIPS_WEIGHTS = flags.DEFINE_string("lpips_weights", None, "As of bin/evaluate.")
_CACHE_DIR = flags.DEFINE_string("cache_dir", None, "As of bin/evaluate.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of prepared data [TFDS's].")
_JOBS = flags.DEFINE_integer("jobs", 1, "Runs at a time.", lower_bound=1)
_PRINT_COMMANDS = flags.DEFINE_boolean(
    "print_commands", False, "Print a line for each run that is left, for a job array."
)
flags.adopt_module_key_flags(gin_flags)


def main():
    from tfp_priors import sweeps
    from tfp_priors.errors import RunsFailedError
    from tfp_priors.errors import UserError
    from tfp_priors.evaluation import metrics
    from tfp_priors.runs.run_dir import RunLock

    if not _OUT.value or not _GIN_FILE.value or not _GRID.value:
        raise UserError("expected --out, --gin_file and --grid, see --help.")
    out = Path(_OUT.value)
    runs = sweeps.plan(
        out,
        [sweeps.parse_axis(text) for text in _GRID.value],
        [
            *_given("gin_file", "gin_param", "steps", "strategy", "data_dir"),
            *_given("allow_gin_imports"),
        ],
        [
            *_given("classifier", "keypoint_regressor", "inception_dir"),
            *_given("lpips_weights", "cache_dir", "strategy", "data_dir"),
            *_given("allow_gin_imports"),
        ],
        _METRICS.value or metrics.DEFAULTS,
    )
    _check([run for run in runs if not run.is_trained])
    sweeps.describe(runs)
    left = [run for run in runs if not run.is_done]
    if _PRINT_COMMANDS.value:
        for run in left:
            command.say(sweeps.command_line(run))
        return
    with RunLock(out):
        _say(f"{len(runs)} runs in {out}, {len(runs) - len(left)} of them done.")
        sweeper = sweeps.Sweeper(left, out / "logs", _JOBS.value)
        failures = sweeper.run()
        results = out / "results.csv"
        sweeps.write_table(sweeps.table(out), results)
        command.import_tensorflow()
        sweeps.write_hparams(out)
    if sweeper.stopped:
        _say("Stopped; the same command goes on.")
    if failures:
        raise RunsFailedError(
            f"{len(failures)} of {len(runs)} runs failed: {', '.join(failures)}. See "
            f"{out / 'logs'}; the same command tries them again."
        )
    command.say(f"Results in {results}")
    where = shlex.quote(str(out))
    command.say(f"  bin/figures --sweep={where} --out=figures")
    command.say(f"  tensorboard --host=localhost --logdir={where}")


def _check(runs):
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
            process.submit(_parse, runs).result()


def _parse(runs):
    from tfp_priors.errors import UserError

    config = gin_flags.config()
    for run in runs:
        try:
            config.parse(run.given("gin_file"), run.given("gin_param"))
        except UserError as error:
            raise UserError(f"run {run.name}: {error}") from None


def _given(*names):
    """The flags of these names that have a value, as they are passed on."""
    for name in names:
        value = flags.FLAGS[name].value
        values = value if isinstance(value, list) else [value]
        given = (one for one in values if one is not None and one is not False)
        yield from (f"--{name}={one}" for one in given)


def _say(text):
    print(text, file=sys.stderr, flush=True)
