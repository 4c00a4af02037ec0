"""Measures a run, an exported model, or a folder of pictures.

  bin/evaluate --run_dir=runs/mnist_beta0
  bin/evaluate --run_dir=runs/mnist_beta0 --classifier=runs/mnist_classifier \\
      --metrics=fcd10k_test,prdc_classifier10k_test
  bin/evaluate --images=pictures --gin_file=gin/cifar10.gin --metrics=fid10k_test
  bin/evaluate --list

A metric's name is its protocol; --list explains them. Prints a line of JSON per result
and adds it to RUN_DIR/metrics.jsonl, and to TensorBoard. Activations are kept, so an
interrupted evaluation goes on where it stopped. Machines that see one RUN_DIR share
the work with --strategy=multi_worker, and TF_CONFIG as for bin/train; the first worker
alone tells the results.
"""

import functools
import math
from pathlib import Path

from absl import flags

from tfp_priors import remote
from tfp_priors.commands import command
from tfp_priors.commands import evaluation
from tfp_priors.commands import gin_flags
from tfp_priors.errors import UserError
from tfp_priors.runs.run_dir import to_json

_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of a run of bin/train.")
_SAVED_MODEL = flags.DEFINE_string("saved_model", None, "Folder of bin/export.")
_IMAGES = flags.DEFINE_string("images", None, "Folder of pictures by any model.")
_METRICS = flags.DEFINE_list(
    "metrics", [], "Names, with commas [how well the prior matches the codes]."
)
_LIST = flags.DEFINE_boolean("list", False, "Explain all metrics and end.")
_GIN_FILE = flags.DEFINE_string(
    "gin_file", None, "Names the data set for --saved_model and --images."
)
_GIN_PARAM = flags.DEFINE_multi_string(
    "gin_param", [], "A binding that overrides the file; repeatable."
)
_GUIDANCE = flags.DEFINE_float(
    "guidance", 1.0, "How much samples are of what is given; bin/sample.", lower_bound=0
)
_OUT = flags.DEFINE_string("out", None, "Folder for the results [RUN_DIR].")
flags.adopt_module_key_flags(evaluation)


def main():
    from tfp_priors.evaluation import metrics

    if _LIST.value:
        _explain(metrics.METRICS)
        return
    _check_flags()
    guidance = _GUIDANCE.value
    names = [metrics.find(name).name for name in _METRICS.value or metrics.DEFAULTS]

    command.import_tensorflow()
    from tfp_priors.evaluation.records import record

    networks = evaluation.networks()
    is_chief = evaluation.is_chief()
    strategy = evaluation.strategy()
    subject, dataset, load_dataset = _subject(strategy, guidance)
    if subject.activations and not _METRICS.value:
        names = ["accuracy_test" if subject.correct else "joint_distance_test"]
    elif subject.of_codes and not _METRICS.value:
        names = metrics.DEFAULTS_OF_CODES[0 if subject.log_prob else 2 :]
    elif subject.log_prob and subject.encode and not _METRICS.value:
        names = [*metrics.DEFAULTS_OF_DENSITIES, *names]
    out = _folder()
    evaluator = evaluation.evaluator(subject, dataset, load_dataset, strategy, out)
    context = {"of": subject.name, "dataset": dataset}
    needed = {name: metrics.NETWORKS.get(metrics.find(name).network) for name in names}
    refused = {}
    for name in names:
        try:
            results = _named(evaluator.evaluate(name), guidance)
        except UserError as error:
            # What nobody asked for may not suit, such as a test of few codes.
            refused[name] = error
            if _METRICS.value or len(refused) == len(names):
                raise next(iter(refused.values())) from None
            continue
        if is_chief:
            used = {k: path for k, path in networks.items() if k == needed[name]}
            for line in record(out, results, subject.step, networks=used, **context):
                print(to_json(line), flush=True)
    for name, error in refused.items():
        command.tell(f"{name} is left out: {error}")
    for flag in sorted(networks.keys() - needed.values()):
        command.tell(f"--{flag} was not used: none of these metrics needs it.")


def _folder():
    """Where the results go."""
    return Path(_OUT.value or _RUN_DIR.value or "evaluation")


def _check_flags():
    """Refuses flags that do not go together."""
    sources = [_RUN_DIR.value, _SAVED_MODEL.value, _IMAGES.value]
    if sum(map(bool, sources)) != 1:
        raise UserError(
            "expected one of --run_dir=FOLDER, --saved_model=FOLDER and "
            "--images=FOLDER, see --help."
        )
    if not _RUN_DIR.value and not (_GIN_FILE.value and _METRICS.value):
        raise UserError(
            "expected --gin_file=FILE, which names the data set to compare with, such "
            "as gin/cifar10.gin, and --metrics=NAMES."
        )
    if _RUN_DIR.value and (_GIN_FILE.value or _GIN_PARAM.value):
        raise UserError(
            "a run is measured as it was trained: leave --gin_file and --gin_param "
            "out, or train another run."
        )
    if not math.isfinite(_GUIDANCE.value):
        raise UserError(f"--guidance={_GUIDANCE.value} is not finite.")
    if _GUIDANCE.value != 1.0 and not _RUN_DIR.value:
        raise UserError("--guidance is of a run: expected --run_dir=FOLDER too.")
    if not evaluation.is_alone() and remote.is_remote(remote.named(_folder())):
        raise UserError(
            "machines share an evaluation by a folder: expected an --out on a disk "
            "that all of them see, with --strategy=multi_worker."
        )


def _named(results, guidance):
    """Results; those of guided draws by names that no table takes for plain."""
    if guidance == 1.0:
        return results
    suffix = f"_guidance{guidance:g}"
    return [r | {"name": r["name"] + suffix, "guidance": guidance} for r in results]


def _subject(strategy, guidance):
    """What is measured, and the data set to compare it with."""
    from tfp_priors.evaluation import subject

    if _RUN_DIR.value:
        return evaluation.subject_of_run(_RUN_DIR.value, strategy, guidance)
    dataset, load_dataset = gin_flags.config().dataset_of(
        _GIN_FILE.value, _GIN_PARAM.value, evaluation.DATA_DIR.value
    )
    if _SAVED_MODEL.value:
        return (
            subject.subject_of_saved_model(_SAVED_MODEL.value),
            dataset,
            load_dataset,
        )
    test = load_dataset("test")
    # Only those of a folder have been scaled in a way that is known.
    scale = dataset.startswith("image_folder/")
    read_picture = functools.partial(test.read_picture, scale=scale)
    of_folder = subject.subject_of_folder(_IMAGES.value, test.image_shape, read_picture)
    return of_folder, dataset, load_dataset


def _explain(metrics):
    for metric in metrics:
        command.say(
            f"{metric.template}\n    such as {metric.example}\n    {metric.description}"
            f"\n    needs {metric.needs}; costs {metric.cost}"
        )
    command.say("N and M may be 500 or 10k; SPLIT is train, test or validation, or")
    command.say("held_out: training images that the run has learned nothing from.")
