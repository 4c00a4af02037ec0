import pytest
import tensorflow as tf

from tfp_priors.errors import UserError
from tfp_priors.training import create_strategy


def test_names():
    assert create_strategy("one_device").num_replicas_in_sync == 1
    # The tests have two logical CPU devices and no GPU.
    mirrored = create_strategy("mirrored")
    assert isinstance(mirrored, tf.distribute.MirroredStrategy)
    assert mirrored.num_replicas_in_sync == 2
    assert create_strategy("auto").num_replicas_in_sync == 1
    with pytest.raises(UserError, match="expected one of auto, one_device, mirrored"):
        create_strategy("tpu_pod")
