import numpy as np
import pytest

from tfp_priors.errors import UserError
from tfp_priors.priors import StandardNormalPrior
from tfp_priors.training import Checkpoints


@pytest.fixture
def model(make_model):
    built = make_model(prior=StandardNormalPrior(4))
    built.compile("adam", jit_compile=False)
    return built


def mark(model, value):
    model.trainable_variables[0].assign(
        np.full(model.trainable_variables[0].shape, value, np.float32)
    )


def marked(model):
    return float(np.ravel(model.trainable_variables[0])[0])


def test_newest_wins_and_old_ones_go(model, tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints", keep=2)
    assert checkpoints.restore(model) is None
    for step in (10, 20, 300):
        mark(model, step)
        checkpoints.save(model, step)
    assert checkpoints.steps() == [20, 300]
    mark(model, 0)
    assert checkpoints.restore(model) == 300
    assert marked(model) == 300


@pytest.mark.parametrize("damage", ["truncated", "flipped", "no record", "no weights"])
def test_damaged_one_is_passed_over(model, tmp_path, damage):
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2):
        mark(model, step)
        checkpoints.save(model, step)
    weights = tmp_path / "step_00000002" / "state.weights.h5"
    content = bytearray(weights.read_bytes())
    if damage == "truncated":
        weights.write_bytes(content[:-100])
    elif damage == "flipped":
        content[len(content) // 2] ^= 1
        weights.write_bytes(content)
    elif damage == "no record":
        (tmp_path / "step_00000002" / "checkpoint.json").unlink()
    else:
        weights.unlink()
    assert checkpoints.restore(model) == 1
    assert marked(model) == 1
    mark(model, 2)
    checkpoints.save(model, 2)
    assert checkpoints.restore(model) == 2


def test_all_damaged(model, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(model, 1)
    (tmp_path / "step_00000001" / "state.weights.h5").write_bytes(b"")
    with pytest.raises(UserError, match="are damaged: remove them"):
        checkpoints.restore(model)


def test_another_model(model, make_model, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(model, 1)
    with pytest.raises(UserError, match="another model"):
        checkpoints.restore(make_model(latent_size=3, **other_posterior(3)))


def test_the_state_of_another_optimizer(model, make_model, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(model, 1)
    other = make_model(prior=StandardNormalPrior(4))
    other.compile("sgd", jit_compile=False)
    with pytest.raises(UserError, match="another model: .* optimizer"):
        checkpoints.restore(other)


def test_one_that_a_training_removes_meanwhile(model, tmp_path, monkeypatch):
    """Before it is read, and before it is looked at."""
    writer, reader = Checkpoints(tmp_path), Checkpoints(tmp_path)
    for step in (1, 2):
        mark(model, step)
        writer.save(model, step)
    left = iter((3, 4))
    listed, loaded = reader.steps, reader._load

    def save(function, *args):
        for step in (next(left, 0), next(left, 0)):
            if step:
                mark(model, step)
                writer.save(model, step)
        return function(*args)

    def steps():
        result = listed()
        save(list)
        return result

    monkeypatch.setattr(reader, "_load", lambda *args: save(loaded, *args))
    assert reader.restore(model) == 4
    assert marked(model) == 4
    left = iter((5, 6))
    monkeypatch.setattr(reader, "steps", steps)
    assert reader.restore(model) == 6
    assert marked(model) == 6


def other_posterior(size):
    from tfp_priors.posteriors import DeterministicPosterior

    return {
        "posterior": DeterministicPosterior(size),
        "prior": StandardNormalPrior(size),
    }


def test_a_failed_write_leaves_the_last_one(model, tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(model, 1)

    def full(path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model, "save_weights", full)
    with pytest.raises(OSError):
        checkpoints.save(model, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000001"]
    assert checkpoints.restore(model) == 1


def test_leftovers_of_a_killed_process_go(model, tmp_path):
    (tmp_path / ".step_00000007.tmp").mkdir()
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(model, 8)
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000008"]


def test_a_copy_beside_them_is_none(model, tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(model, 10)
    (tmp_path / "checkpoints" / "step_00000010.bak").mkdir()
    assert checkpoints.steps() == [10] and checkpoints.restore(model) == 10
