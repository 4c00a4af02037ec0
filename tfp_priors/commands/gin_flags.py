"""What the commands share that read gin files, those of runs included."""

from collections.abc import Mapping, Sequence

from absl import flags

from tfp_priors.commands import command
from tfp_priors.errors import UserError

#: Values of --strategy.
STRATEGIES = ["auto", "one_device", "mirrored", "multi_worker", "tpu"]

_ALLOW_IMPORTS = flags.DEFINE_boolean(
    "allow_gin_imports", False, "Let gin files import any module, which runs its code."
)


def with_flags(
    gin_params: Sequence[str], bound: Mapping[str, flags.FlagHolder]
) -> list[str]:
    """The bindings of the command line, and those that flags stand for.

    Args:
      gin_params: of --gin_param.
      bound: the flags, by what they bind.

    Raises:
      UserError: if a flag that is given and one of the bindings set the same.
    """
    told = {text.partition("=")[0].strip(): text for text in gin_params}
    # The macro that follows it.
    told = {"train.steps": told.get("STEPS")} | told
    given = {name: flag for name, flag in bound.items() if flag.value is not None}
    for name, flag in given.items():
        if told.get(name):
            raise UserError(
                f"--{flag.name}={flag.value} and --gin_param={told[name]!r} set the "
                "same: leave one out."
            )
    return [*gin_params, *(f"{name} = {flag.value!r}" for name, flag in given.items())]


def say_where(result, run_dir) -> bool:
    """Says where a training stands; whether it is at its end."""
    if not result.finished:
        command.say(
            f"Stopped at step {result.step}, which is saved; the same command goes on."
        )
        return False
    if result.start_step == result.step:
        command.say(f"Nothing to do: {run_dir} ended at step {result.step} already.")
    command.say(f"Step {result.step}. Checkpoints and logs are in {run_dir}")
    return True


def config():
    """The module `tfp_priors.config`, which obeys the flag."""
    command.import_tensorflow(and_probability=True)
    from tfp_priors import config
    from tfp_priors import configuration

    configuration.allow_imports(_ALLOW_IMPORTS.value)
    return config
