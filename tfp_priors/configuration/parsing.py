"""The strict reading of gin files."""

from collections.abc import Collection, Sequence

import gin
from tfp_priors.configuration.effects import check_effects
from tfp_priors.configuration.effects import idle_optimizers
from tfp_priors.configuration.parts import references
from tfp_priors.configuration.parts import used_parts
from tfp_priors.configuration.reading import check_dataset
from tfp_priors.configuration.reading import read
from tfp_priors.configuration.registry import SHARED
from tfp_priors.configuration.values import check_complete
from tfp_priors.configuration.wording import key_name
from tfp_priors.errors import UserError

# The macro that follows train.steps.
_STEPS = "STEPS"

# Of the current configuration.
_statements = []


def parse(
    gin_files: Sequence[str],
    gin_params: Sequence[str] = (),
    given: Sequence[str] = (),
    used: Sequence[str] = ("train", "load_dataset"),
    strict: bool = True,
) -> str:
    """Replaces the current configuration.

    A whole float, such as 1e5, is the int that a parameter wants. The macro STEPS is
    the value of train.steps, so that schedules can follow the length of a run. Parts
    that need a latent_size or an image_shape, and are given none, get LATENT_SIZE and
    IMAGE_SHAPE.

    Args:
      gin_files: paths, or names, see `experiments.gin_files`; an `include` is looked up
        beside the including file.
      gin_params: bindings that override the files', such as "train.steps = 100".
      given: a command's own, which these override, and which may go unused as those of
        files may.
      used: names of the configurables that must be complete, with what they refer to.
      strict: whether to refuse what has no effect: any such binding of `gin_params`,
        and of the files a macro that no line reads, a scope that no line names, and
        a binding that others override wherever it would act. The rest of files that
        many configurations include may go unused, as may that of texts of `parse`.

    Returns:
      The configuration as text, without includes.

    Raises:
      UserError: if a file, a name or a required value is missing, a value has another
        type than its parameter, a binding has no effect, or a file imports a module
        that it may not; see `allow_imports`.
    """
    statements = _statements[:] = read(gin_files, gin_params, given)
    _bind_run_steps(statements)
    _bind_shared(used_parts())
    parts = used_parts()
    if strict:
        check_effects(statements, parts)
    check_complete([part for name in used for part in used_parts(name)])
    check_dataset()
    return gin.config_str()


def of_idle_optimizers(groups: Collection[str]) -> list[str]:
    """Which bindings of the current configuration's texts set an optimizer of nothing.

    Args:
      groups: of variables that `train.optimizers` are for in this run.

    Returns:
      A line for each.
    """
    return idle_optimizers(_statements, groups)


def _bind_run_steps(statements):
    """Gives STEPS the value of train.steps, unless this is made of the user's STEPS.

    Raises:
      UserError: if STEPS is bound over it.
    """
    steps = gin.get_bindings("train", resolve_references=False).get("steps")
    last = {key_name(statement.key): i for i, statement in enumerate(statements)}
    if steps is None or (_STEPS in last and list(references(steps))):
        return
    if last.get(_STEPS, -1) > last["train.steps"]:
        raise UserError(
            f"In {statements[last[_STEPS]].source}: {_STEPS} has no effect: it stands "
            f"for train.steps, which is {steps}. Set that, or --steps."
        )
    uses = (r for s in statements for r in references(s.value))
    if any(list(reference.scopes) == [_STEPS] for reference in uses):
        gin.bind_parameter(f"{_STEPS}/gin.macro.value", steps)


def _bind_shared(parts):
    """Gives the macros of `SHARED` to the parts that need them and have no value."""
    for part in parts:
        for name, parameter in part.parameters().items():
            needed = name in SHARED and parameter.default is parameter.empty
            if needed and name not in part.keys:
                gin.parse_config(f"{part.name}.{name} = %{SHARED[name]}")
