"""Values of an object that hold within a `with` statement."""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any


class Scoped:
    """A value of each object of a class, for the thread alone that has set it.

    Threads share the objects: replicas take turns within one step, and a server's
    requests in their order.

    Args:
      name: of the value.
      default: the value where none is set.
    """

    def __init__(self, name: str, default: Any = None):
        self._values = contextvars.ContextVar(name, default={})
        self._default = default

    def of(self, owner: Any) -> Any:
        """The value that holds for an object."""
        return self._values.get().get(id(owner), self._default)

    @contextlib.contextmanager
    def set(self, owner: Any, value: Any) -> Iterator[None]:
        """Within it, that is the value."""
        token = self._values.set(self._values.get() | {id(owner): value})
        try:
            yield
        finally:
            self._values.reset(token)
