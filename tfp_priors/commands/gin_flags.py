"""What the commands share that read gin files, those of runs included."""

from absl import flags

from tfp_priors.commands import command

#: Values of --strategy.
STRATEGIES = ["auto", "one_device", "mirrored", "multi_worker", "tpu"]

_ALLOW_IMPORTS = flags.DEFINE_boolean(
    "allow_gin_imports", False, "Let gin files import any module, which runs its code."
)


def config():
    """The module `tfp_priors.config`, which obeys the flag."""
    command.import_tensorflow(and_probability=True)
    from tfp_priors import config
    from tfp_priors import configuration

    configuration.allow_imports(_ALLOW_IMPORTS.value)
    return config
