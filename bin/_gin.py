"""What the commands share that read gin files, those of runs included."""

import _command
from absl import flags

_ALLOW_IMPORTS = flags.DEFINE_boolean(
    "allow_gin_imports", False, "Let gin files import any module, which runs its code."
)


def config():
    """The module `tfp_priors.config`, which obeys the flag."""
    _command.import_tensorflow()
    from tfp_priors import config
    from tfp_priors import configurables

    configurables.allow_imports(_ALLOW_IMPORTS.value)
    return config
