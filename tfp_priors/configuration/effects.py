"""Bindings that have no effect."""

import gin
from tfp_priors.configuration.parts import references
from tfp_priors.configuration.registry import GIVEN
from tfp_priors.configuration.registry import SHARED
from tfp_priors.configuration.wording import did_you_mean
from tfp_priors.configuration.wording import key_name
from tfp_priors.configuration.wording import listed
from tfp_priors.configuration.wording import nearest
from tfp_priors.errors import UserError


def check_effects(statements, parts):
    """Raises: UserError: if a binding has no effect, and should have one."""
    acting = {key for part in parts for key in part.keys.values()}
    overridden: dict = {}
    for part in parts:
        for key, narrower in part.overridden.items():
            overridden.setdefault(key, {})[narrower] = None
    # The scopes of a reference to a macro are the macro's name.
    uses = [r for s in statements for r in references(s.value)]
    scopes = {"", *SHARED.values(), *("/".join(r.scopes) for r in uses)}
    first: dict = {}
    for i, statement in enumerate(statements):
        first.setdefault(statement.key, i)
    for i, (key, _, source, may_rest, is_checked) in enumerate(statements):
        scope, selector, parameter = key
        narrower = overridden.get(key, {})
        # What narrower scopes override from a later line on may stay.
        is_late = narrower and all(first[other] < i for other in narrower)
        should_act = not may_rest or is_late or scope not in scopes
        giver = GIVEN.get(selector.rpartition(".")[-1], {}).get(parameter)
        if not is_checked or not (giver or (should_act and key not in acting)):
            continue
        if not selector.startswith(("tfp_priors.", "gin.")):
            # A module of the user may call what no binding refers to.
            continue
        if giver or narrower:
            names = [giver] if giver else map(key_name, narrower)
            why, hint = f"it is overridden by {listed(names)}", ""
        else:
            used = key_name(key).rpartition(".")[0]
            why = f"the configuration does not use {used}"
            if selector == "gin.macro":
                why = "nothing that the configuration uses reads it"
            hint = did_you_mean(_alternatives(key, acting, parts))
        name = key_name(key)
        raise UserError(f"In {source}: {name} has no effect: {why}.{hint}")


def idle_optimizers(statements, groups) -> list[str]:
    """What the user sets of the optimizer of what does not learn, a line for each.

    Args:
      statements: as they were read.
      groups: of variables that `train.optimizers` are for.
    """
    optimizers = gin.get_bindings("train", resolve_references=False)["optimizers"]
    if not isinstance(optimizers, dict):
        return []
    scopes = {
        name: {"/".join(r.scopes) for r in references(value)} - {""}
        for name, value in optimizers.items()
    }
    used = set().union(*(scopes[name] for name in scopes if name in groups))
    return [
        f"{key_name(statement.key)} has no effect: no {name} learns by it in this run."
        for name in sorted({*scopes} - {*groups})
        for statement in statements
        if not statement.may_rest and statement.key[0] in scopes[name] - used
    ]


def _alternatives(key, acting, parts) -> list[str]:
    """What may have been meant by a binding that has no effect."""
    bindable = [(part.selector, name) for part in parts for name in part.parameters()]
    scope, selector, parameter = key
    if selector != "gin.macro":
        owners = [owner for owner, name in bindable if name == parameter]
        owner = key_name(key).rpartition(".")[0]
        return [f"{near}.{parameter}" for near in nearest(owner, owners)]
    macros = [name for name, owner, _ in acting if owner == "gin.macro"]
    near = nearest(scope, [*(name for _, name in bindable), *macros])
    return [n for n in near if n in macros] or [
        f"{owner}.{name}" for owner, name in bindable if name in near
    ]
