"""Configurations: whatever keeps its constructor's arguments can be saved by Keras."""

import inspect
import textwrap

import keras
import numpy as np

# Of a representation on one line.
_WIDTH = 80


class Configured:
    """What Keras saves and builds again from its constructor's arguments.

    They are those of `__init__`; each is kept in an attribute of its name. Subclasses
    are registered with Keras, by the name of their package.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if any(
            (b.__module__, b.__name__) == (cls.__module__, cls.__name__)
            for b in cls.__bases__
        ):
            # Gin's stand-in, which would put the present bindings into what is loaded.
            return
        package = cls.__module__.split(".")[0]
        keras.saving.register_keras_serializable(package)(cls)

    def get_config(self):
        """The arguments by name, as Keras serializes them."""
        config = super().get_config() if hasattr(super(), "get_config") else {}
        for name, parameter in inspect.signature(type(self)).parameters.items():
            several = (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            if name not in config and parameter.kind not in several:
                value = self._argument(name)
                config[name] = keras.saving.serialize_keras_object(value)
        return config

    def _argument(self, name):
        """The value of an argument of the constructor."""
        return getattr(self, name)

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
            for name, parameter in inspect.signature(type(self)).parameters.items()
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            # It may not be there yet.
            for value in [self._argument(name) if hasattr(self, name) else None]
            if not _is_same(value, parameter.default)
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


def _is_same(value, default):
    """Whether an argument is at its default."""
    if value is default or type(value) is not type(default):
        return value is default
    is_array = isinstance(value, np.ndarray)
    return bool(np.array_equal(value, default) if is_array else value == default)
