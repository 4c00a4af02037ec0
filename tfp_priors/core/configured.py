"""Configurations: whatever keeps its constructor's arguments can be saved by Keras."""

import inspect
import textwrap

import keras
import numpy as np

from tfp_priors.errors import UserError

# Of a representation on one line.
_WIDTH = 80

_SEVERAL = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

# Keras keeps these itself.
_OF_LAYERS = set(inspect.signature(keras.layers.Layer.__init__).parameters)


class Configured:
    """What Keras saves and builds again from its constructor's arguments.

    They are those of `__init__`, and what it was given as `*args` and `**kwargs` for
    that of a parent and passed on unchanged; each is kept in an attribute of its name.
    Subclasses are registered with Keras, those of others by the name of their module.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if any(
            (b.__module__, b.__name__) == (cls.__module__, cls.__name__)
            for b in cls.__bases__
        ):
            # Gin's stand-in, which would put the present bindings into what is loaded.
            return
        package = cls.__module__
        if package.startswith("tfp_priors."):
            package = "tfp_priors"
        keras.saving.register_keras_serializable(package)(cls)

    def __new__(cls, *args, **kwargs):
        if super().__new__ is not object.__new__:
            made = super().__new__(cls, *args, **kwargs)
        elif (args or kwargs) and cls.__init__ is object.__init__:
            # Which refuses them only where there is no `__new__`.
            raise TypeError(f"{cls.__name__}() takes no arguments")
        else:
            made = super().__new__(cls)
        object.__setattr__(made, "_passed_on", _passed_on(cls, args, kwargs))
        return made

    def get_config(self):
        """The arguments by name, as Keras serializes them."""
        config = super().get_config() if hasattr(super(), "get_config") else {}
        for name in self._defaults():
            if name not in config:
                value = self._argument(name)
                config[name] = keras.saving.serialize_keras_object(value)
        return config

    def _defaults(self):
        """The arguments' defaults by name."""
        of_own = inspect.signature(type(self)).parameters.values()
        defaults = {p.name: p.default for p in of_own if p.kind not in _SEVERAL}
        # A subclass may have made something else of what it was given.
        passed = {name for name in self._passed_on if hasattr(self, name)}
        of_parents = {
            p.name: p.default
            for base in reversed(type(self).__mro__)
            for p in _parameters_of(base)
        }
        return defaults | {k: v for k, v in of_parents.items() if k in passed}

    def _argument(self, name):
        """The value of an argument of the constructor."""
        try:
            return getattr(self, name)
        except AttributeError as error:
            raise UserError(
                f"The constructor of {type(self).__name__} takes {name} and keeps it "
                f"nowhere, which files and copies need: set self.{name} = {name}."
            ) from error

    @classmethod
    def from_config(cls, config):
        """A new one, with new weights."""
        arguments = {
            name: keras.saving.deserialize_keras_object(value)
            for name, value in config.items()
        }
        # Some constructors give it themselves.
        trainable = arguments.pop("trainable", True)
        made = cls(**arguments)
        if not trainable:
            made.trainable = False
        return made

    def __repr__(self):
        """The call that makes it, but for the name and arguments at their defaults."""
        arguments = [
            f"{name}={value!r}"
            for name, default in self._defaults().items()
            # It may not be there yet.
            for value in [self._argument(name) if hasattr(self, name) else None]
            if not _is_same(value, default)
        ]
        name, line = type(self).__name__, ", ".join(arguments)
        if len(name) + len(line) < _WIDTH and "\n" not in line:
            return f"{name}({line})"
        lines = textwrap.indent(",\n".join(arguments), "    ")
        return f"{name}(\n{lines},\n)"

    def get_build_config(self):
        """None: a layer's model builds it."""

    def build_from_config(self, config):
        """Nothing; see `get_build_config`."""


def _passed_on(cls, args, kwargs):
    """Names of what a constructor is given beside its own parameters."""
    own = _parameters_of(cls)
    names = {p.name for p in own if p.kind not in _SEVERAL} | _OF_LAYERS
    passed = [name for name in kwargs if name not in names]
    rest = len(args) - sum(p.kind == p.POSITIONAL_OR_KEYWORD for p in own)
    if rest > 0:
        # By their places, they are the first ones of the parent that names them.
        parents = [_parameters_of(base) for base in cls.__mro__[1:]]
        named = (
            some for some in parents if some and some[0].kind != some[0].VAR_POSITIONAL
        )
        parent = [p.name for p in next(named, []) if p.name not in names]
        passed += parent[:rest]
    return tuple(passed)


def _parameters_of(cls):
    return list(inspect.signature(cls.__init__).parameters.values())[1:]


def _is_same(value, default):
    """Whether an argument is at its default."""
    if value is default or type(value) is not type(default):
        return value is default
    is_array = isinstance(value, np.ndarray)
    return bool(np.array_equal(value, default) if is_array else value == default)
