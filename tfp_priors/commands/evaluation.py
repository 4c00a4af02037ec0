"""What the commands share that measure: flags, networks, evaluators."""

import functools
from pathlib import Path

from absl import flags

from tfp_priors import files
from tfp_priors import remote
from tfp_priors.commands import gin_flags
from tfp_priors.errors import UserError

CLASSIFIER = flags.DEFINE_string(
    "classifier", None, "Run of a classifier of the data set."
)
KEYPOINT_REGRESSOR = flags.DEFINE_string(
    "keypoint_regressor", None, "Run of a regressor of the data set's joints."
)
INCEPTION_DIR = flags.DEFINE_string(
    "inception_dir", None, "Copy of TF-GAN's Inception module [downloaded]."
)
LPIPS_WEIGHTS = flags.DEFINE_string("lpips_weights", None, "File of convert_lpips.")
DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of prepared data [TFDS's].")
CACHE_DIR = flags.DEFINE_string(
    "cache_dir", None, "For activations of real images [~/.cache/tfp_priors]."
)
SEED = flags.DEFINE_integer(
    "seed",
    0,
    "Seed of samples, codes and classifiers.",
    lower_bound=0,
    upper_bound=2**31 - 1,
)
STRATEGY = flags.DEFINE_enum(
    "strategy", "auto", gin_flags.STRATEGIES, "As in bin/train."
)
flags.adopt_module_key_flags(gin_flags)


def strategy():
    """The devices of --strategy on this machine."""
    from tfp_priors.training import create_strategy

    name = "auto" if STRATEGY.value == "multi_worker" else STRATEGY.value
    return create_strategy(name, in_cluster=False)


def is_chief():
    """Whether this process, among those of a cluster, says and writes the results.

    The workers need not talk to each other: what one computes is in files.
    """
    from tfp_priors.training import task_of_environment

    return is_alone() or task_of_environment().index == 0


def is_alone():
    """Whether no other machine is to share the work."""
    return STRATEGY.value != "multi_worker"


def networks():
    """The paths of the networks that the flags name, by flag.

    Raises:
      UserError: if one is not there.
    """
    given = (CLASSIFIER, KEYPOINT_REGRESSOR, INCEPTION_DIR, LPIPS_WEIGHTS)
    paths = {flag.name: flag.value for flag in given if flag.value}
    for name, path in paths.items():
        if not Path(path).exists():
            raise UserError(
                f"--{name}={path} is not there: expected a folder or file, see --help."
            )
    return {name: remote.named(path) for name, path in paths.items()}


def subject_of_run(run_dir, strategy, guidance=1.0):
    """The model of a run as a subject, its data set's name and loader."""
    from tfp_priors.evaluation import subject
    from tfp_priors.models import GroupedModel
    from tfp_priors.models import Predictor

    with strategy.scope():
        run = gin_flags.config().load_run(run_dir, DATA_DIR.value, GroupedModel)
    of_run = (run.model, run.identity, remote.named(run_dir), run.step)
    if guidance != 1.0 and not getattr(run.model, "has_guidance", False):
        raise UserError(f"{run_dir} has no guidance: leave --guidance out.")
    if isinstance(run.model, Predictor):
        of_run = subject.subject_of_predictor(*of_run)
    else:
        of_run = subject.subject_of_model(*of_run, guidance)
    return of_run, run.dataset, run.load_dataset


def evaluator(subject, dataset, load_dataset, strategy, folder):
    """An evaluator with the networks that the flags name.

    Args:
      subject: what is measured.
      dataset: name of the data set that it is compared with.
      load_dataset: its loader.
      strategy: of `strategy`.
      folder: activations of the subject's images are kept in it.
    """
    from tfp_priors.evaluation.evaluator import Evaluator

    extractors = {"inception": lambda: _inception(strategy)}
    for name, flag in {
        "classifier": CLASSIFIER,
        "keypoints": KEYPOINT_REGRESSOR,
    }.items():
        if flag.value:
            extractors[name] = functools.partial(
                _predictor, name, flag.value, strategy, dataset
            )
    return Evaluator(
        subject,
        load_dataset,
        extractors=extractors,
        lpips_weights=LPIPS_WEIGHTS.value,
        seed=SEED.value,
        strategy=strategy,
        folder=Path(folder) / "evaluation" / "activations",
        cache_dir=Path(CACHE_DIR.value or files.cache_dir()),
    )


def _inception(strategy):
    from tfp_priors.evaluation.inception import inception

    with strategy.scope():
        return inception(INCEPTION_DIR.value)


def _predictor(name, run_dir, strategy, dataset):
    """The classifier or regressor of keypoints of a run on the same data set."""
    from tfp_priors.evaluation.activations import predictor_extractor
    from tfp_priors.models import Classifier
    from tfp_priors.models import KeypointRegressor

    kind = {"classifier": Classifier, "keypoints": KeypointRegressor}[name]
    with strategy.scope():
        run = gin_flags.config().load_run(run_dir, DATA_DIR.value, kind)
    if run.dataset != dataset:
        raise UserError(
            f"{run_dir} was trained on {run.dataset}, but the images are compared "
            f"with {dataset}: train one of that data set."
        )
    return predictor_extractor(run.model, run.identity, name)
