"""TFDS builders for what TFDS does not ship; each is one file, and is found here."""

import importlib
import inspect
import pkgutil

import tensorflow_datasets as tfds


def built_in() -> dict[str, type]:
    """Builders of sets that are made without any file, by name."""
    builders = {}
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        for part in vars(importlib.import_module(module.name)).values():
            is_builder = inspect.isclass(part) and issubclass(
                part, tfds.core.GeneratorBasedBuilder
            )
            if is_builder and not getattr(part, "needs_files", False):
                builders[part.name] = part
    return builders
