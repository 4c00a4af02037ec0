"""Values that hold within a with statement."""

import threading

import pytest

from tfp_priors.core.scoped import Scoped


def test_a_value_holds_within_for_its_object():
    scoped, one, other = Scoped("value", default=0), object(), object()
    with scoped.set(one, 1):
        assert (scoped.of(one), scoped.of(other)) == (1, 0)
        with scoped.set(one, 2), scoped.set(other, 3):
            assert (scoped.of(one), scoped.of(other)) == (2, 3)
        assert (scoped.of(one), scoped.of(other)) == (1, 0)
    with pytest.raises(KeyError), scoped.set(one, 1):
        raise KeyError
    assert scoped.of(one) == 0


def test_a_value_is_that_of_its_thread():
    scoped, owner, seen = Scoped("value"), object(), []
    is_set, is_seen = threading.Event(), threading.Event()

    def other():
        assert is_set.wait(10)
        with scoped.set(owner, 2):
            seen.append(scoped.of(owner))
            is_seen.set()

    thread = threading.Thread(target=other)
    thread.start()
    with scoped.set(owner, 1):
        is_set.set()
        assert is_seen.wait(10)
        assert scoped.of(owner) == 1
    thread.join()
    assert seen == [2]
