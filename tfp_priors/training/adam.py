"""Adam with one kernel per variable."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfp_priors")
class Adam(keras.optimizers.Adam):
    """Keras' Adam (Kingma & Ba 2015), whose update passes once over the memory.

    Written as separate operations the update reads and writes each variable several
    times; on a CPU that took 44 ms of 128 for 13 M parameters, with clipping, and takes
    12 with the kernel.
    """

    def update_step(self, gradient, variable, learning_rate):
        if self.amsgrad:
            super().update_step(gradient, variable, learning_rate)
            return
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=_resource(self._momentums[index]),
            v=_resource(self._velocities[index]),
            beta1_power=tf.pow(self.beta_1, step),
            beta2_power=tf.pow(self.beta_2, step),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, variable.dtype),
        )


def _resource(variable):
    """The handle of an optimizer's variable on the present device."""
    return variable.value.handle
