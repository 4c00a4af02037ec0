"""The continuous flow that flow matching learns."""

import functools
import math
from collections.abc import Sequence

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_priors.core import replicas
from tfp_priors.core.by_rows import by_rows
from tfp_priors.core.code_shape import LatentSize
from tfp_priors.core.replicas import fold_in
from tfp_priors.core.scoped import Scoped
from tfp_priors.errors import check_counts
from tfp_priors.errors import check_widths
from tfp_priors.errors import check_within
from tfp_priors.networks import VelocityMLP
from tfp_priors.networks import VelocityUNet
from tfp_priors.priors.flow import FlowPrior
from tfp_priors.priors.standardization import LatentStandardization

tfb = tfp.bijectors

_GUIDANCE = Scoped("guidance")

_graph = functools.partial(tf.function, reduce_retracing=True, autograph=False)

# What is folded into a step's seed for uses other than dropout.
_LEFT_OUT, _SIGNS = 1, 2

# A quarter of a turn, in radians.
_QUARTER = 0.5 * math.pi


class FlowMatchingPrior(FlowPrior):
    """z = y(1) of dy/dt = v(y, t), y(0) = z0 of N(0, I).

    `FlowMatchingDivergence` teaches the velocity straight paths from draws of z0 to
    codes, x = (1 - s) z0 + s z with s uniform in [0, 1] (Lipman et al. 2023; Liu et al.
    2023). Here y is x over the scale that it would have if z were standard normal,
    y = cos(pi t / 2) z0 + sin(pi t / 2) z. Flow and loss are the same; but the best
    velocity of standard normal codes is 0, where the network starts, so that a new flow
    equals its base exactly.

    log p(z) is log N(z0; 0, I) less the integral of the divergence of v. It is exact
    but for the steps if codes are vectors (`VelocityMLP`); of maps of more than 16
    numbers it is an estimate without bias (`VelocityUNet`), as `has_exact_density`
    says.

    With a context, v is that of p(z | context). Training leaves the context out now and
    then, so that the velocity without one is known too, and draws may be guided by the
    difference of both (Ho & Salimans 2022): v(0) + guidance (v(context) - v(0)), within
    `guided`. Densities and `to_base` are those of guidance 1, so that `from_base` is
    their inverse at guidance 1 alone.

    Args:
      latent_size: see `Prior`.
      units: hidden units of each of the velocity's two layers; None: 512. Of maps,
        channels of each level of its U-Net; None: (64, 128), or (64,) if the sides are
        odd.
      steps: of the Runge-Kutta method of order 4, with four velocities each, from z0 to
        z or back.
      standardize: see `Prior`.
      context_size: see `Prior`; the context is an input of the velocity.
      dropout: share of the hidden units that a step of `FlowMatchingDivergence` leaves
        out.
      context_dropout: share of the codes whose context a training step leaves out.
    """

    context_moves_base = False
    takes_maps = True
    has_velocity = True
    has_guidance = True
    # The error of a velocity is a noisy one: it needs more steps than a likelihood, and
    # more of them without anything better.
    usual_epochs, usual_rate, usual_beta_1 = 80, 2e-3, 0.9
    usual_patience = 0.5

    def __init__(
        self,
        latent_size: LatentSize,
        units: int | Sequence[int] | None = None,
        steps: int = 12,
        standardize: bool | LatentStandardization = False,
        context_size: int = 0,
        dropout: float = 0.0,
        context_dropout: float = 0.1,
        **kwargs,
    ):
        super().__init__(latent_size, standardize, context_size, **kwargs)
        self.units = tuple(units) if isinstance(units, list) else units
        self.steps = steps
        shares = {"dropout": dropout, "context_dropout": context_dropout}
        check_within(type(self).__name__, "[0, 1)", **shares)
        self.dropout = dropout
        self.context_dropout = context_dropout
        self._network = self._velocity_network()

    def _velocity_network(self):
        name = type(self).__name__
        if self.map_shape is None:
            units = 512 if self.units is None else self.units
            check_counts(name, units=units)
            return VelocityMLP(self.latent_size, units)
        is_odd = self.map_shape[0] % 2 or self.map_shape[1] % 2
        usual = (64,) if is_odd else (64, 128)
        units = usual if self.units is None else self.units
        return VelocityUNet(self.map_shape, check_widths(name, units, "units"))

    @property
    def has_exact_density(self) -> bool:
        """Whether log p(z) is exact but for the steps."""
        return self.map_shape is None or self._network.exact

    @property
    def steps(self) -> int:
        """Steps of the solver; may be set."""
        return self._steps

    @steps.setter
    def steps(self, steps):
        check_counts(type(self).__name__, steps=steps)
        self._steps = steps

    def build(self, input_shape=None):
        told = self.context_size + 1 if self.context_size else 0
        self._network.build((None, self.latent_size + told))
        super().build(input_shape)

    def guided(self, guidance):
        is_known = not tf.is_tensor(guidance)
        if is_known:
            check_within(type(self).__name__, "[0, inf)", guidance=guidance)
        is_plain = not self.context_size or (is_known and guidance == 1)
        value = None if is_plain else tf.cast(guidance, tf.float32)
        return _GUIDANCE.set(self, value)

    def bijector(self, context=None):
        return self._flow(self._some_left_out(context))

    def _flow(self, told):
        seed = self._step_seed
        if seed is not None:
            seed = fold_in(seed, _SIGNS)
        guidance = _GUIDANCE.of(self)
        # Op by op a way takes seconds.
        graphs = {
            _ContinuousFlow.from_base_of_rows: self._graph_from_base,
            _ContinuousFlow.to_base_of_rows: self._graph_to_base,
            _ContinuousFlow.density_of_rows: self._graph_of_density,
        }
        return _ContinuousFlow(self._network, self.steps, told, guidance, seed, graphs)

    # Apart, as TensorFlow warns of a function that is traced for many uses.

    @_graph
    def _graph_from_base(self, z0, context, steps, guidance):
        flow = _ContinuousFlow(self._network, steps, context, guidance)
        return flow.from_base_of_rows(z0, context)

    @_graph
    def _graph_to_base(self, z, context, steps, guidance):
        flow = _ContinuousFlow(self._network, steps, context, guidance)
        return flow.to_base_of_rows(z, context)

    @_graph
    def _graph_of_density(self, z, context, steps, guidance):
        flow = _ContinuousFlow(self._network, steps, context, guidance)
        return flow.density_of_rows(z, context)

    def _forward(self, z0, context):
        # Draws in a step of training are of their contexts.
        return self._flow(_all_told(context)).forward(z0)

    def _to_base(self, z, context):
        return self.bijector(context).to_base(self.standardized(z))

    def velocity_error(self, z, seed, context=None):
        """The squared error of straight paths, |dx/ds - (z - z0)|^2 / 2, at one draw.

        The flow's velocity dx/ds follows from v, and a uniform s from a uniform t: the
        expected error is pi / 2 times that of v, which is per radian.

        Args:
          z: codes `[batch, latent_size]`.
          seed: int tensor `[2]`.
          context: `[batch, context_size]`, or None.

        Returns:
          `[batch]`.
        """
        z, _ = self.standardization(z)
        seeds = tf.random.experimental.stateless_split(seed, 2)
        n = replicas.size(z)
        z0 = replicas.noise(n, self.latent_size, seeds[0])
        t = replicas.rows(lambda n: _times(n, seeds[1]), n)
        sin, cos = tf.sin(_QUARTER * t), tf.cos(_QUARTER * t)
        y, target = cos * z0 + sin * z, cos * z - sin * z0
        told = self._some_left_out(self.standard_context(context))
        conditions = self._network.conditions(t, told)
        velocity = self._network(y, conditions, dropout=self._dropout(0))
        squares = tf.math.squared_difference(velocity, target)
        return 0.5 * _QUARTER * tf.reduce_sum(squares, axis=-1)

    def _some_left_out(self, context):
        """What the velocity is told: nothing for some rows in a step of training."""
        if context is None:
            return None
        if self._step_seed is None or not self.context_dropout:
            return _all_told(context)
        seed = fold_in(self._step_seed, _LEFT_OUT)
        noise = replicas.uniform(replicas.size(context), [1], seed)
        return _told(context, tf.cast(noise < self.context_dropout, tf.float32))


def _all_told(context):
    return None if context is None else _told(context, tf.zeros_like(context[:, :1]))


def _told(context, left_out):
    """The context, or zeros where it is left out, and beside it whether it is."""
    return tf.concat([context * (1.0 - left_out), left_out], axis=-1)


def _times(n, seed):
    """n times that are uniform in [0, 1], one in each n-th part of it, `[n, 1]`."""
    first = tf.random.stateless_uniform([], seed)
    places = tf.range(tf.cast(n, tf.float32)) / tf.cast(n, tf.float32)
    return tf.math.floormod(places + first, 1.0)[:, None]


class _ContinuousFlow(tfb.Bijector):
    """z0 to standard codes along a velocity, by the classical Runge-Kutta method.

    Args:
      network: `VelocityMLP` or `VelocityUNet`; its velocity is per radian of a quarter
        of a turn.
      steps: from end to end.
      context: of `_told`, or None.
      guidance: None, or a scalar, for the way from z0.
      seed: of an estimated divergence in a step of training, or None.
      graphs: what takes the place of a way of rows that is asked op by op, outside of a
        step of training.
    """

    def __init__(self, network, steps, context, guidance=None, seed=None, graphs=None):
        super().__init__(forward_min_event_ndims=1, name="continuous_flow")
        self._network = network
        self._steps = steps
        self._context = context
        self._guidance = guidance
        self._seed = seed
        # The last solution of the inverse: its z, z0 and log-determinant.
        self._solved = (None, None, None)
        self._graphs = graphs if seed is None else None

    def _forward(self, z0):
        return self._along(_ContinuousFlow.from_base_of_rows, z0)[0]

    def _inverse(self, z):
        return self._solution(z)[0]

    def _inverse_log_det_jacobian(self, z):
        return self._solution(z)[1]

    def _solution(self, z):
        if self._solved[0] is not z:
            self._solved = (z, *self._along(_ContinuousFlow.density_of_rows, z))
        return self._solved[1:]

    def to_base(self, z):
        """The inverse alone: its density takes several times as long."""
        return self._along(_ContinuousFlow.to_base_of_rows, z)[0]

    def _along(self, way, y):
        def of_rows(y, context):
            if self._graphs and tf.executing_eagerly():
                return self._graphs[way](y, context, self._steps, self._guidance)
            return way(self, y, context)

        return by_rows(of_rows, y, self._context)

    # Ways of rows: their ends, and the integrals of the divergence over them.

    def from_base_of_rows(self, z0, context):
        return self._integrated(z0, 0.0, 1.0, self._guided(z0, context))

    def to_base_of_rows(self, z, context):
        return self._integrated(z, 1.0, 0.0, self._unguided(z, context))

    def density_of_rows(self, z, context):
        # Back in time, so that the divergence's integral has its sign.
        return self._integrated(z, 1.0, 0.0, self._with_divergence(z, context))

    # Of rows and their context: functions of y and t to velocity and divergence.

    def _with_divergence(self, rows, context):
        constants = self._network.constants(replicas.size(rows), self._seed)

        def velocity(y, t):
            conditions = self._network.conditions(t, context)
            return self._network.with_divergence(y, conditions, constants)

        return velocity

    def _unguided(self, rows, context):
        del rows

        def velocity(y, t):
            v = self._network(y, self._network.conditions(t, context))
            return v, tf.zeros(tf.shape(y)[:-1])

        return velocity

    def _guided(self, rows, context):
        unguided = self._unguided(rows, context)
        if self._guidance is None:
            return unguided
        nothing = _told(tf.zeros_like(context[:1, :-1]), tf.ones([1, 1]))

        def velocity(y, t):
            v, nothing_of_density = unguided(y, t)
            without = self._network(y, self._network.conditions(t, nothing))
            return without + self._guidance * (v - without), nothing_of_density

        return velocity

    def _integrated(self, y, start, end, velocity):
        h = (end - start) / self._steps

        def slope(y, t):
            v, divergence = velocity(y, tf.reshape(t, [1, 1]))
            return _QUARTER * v, _QUARTER * divergence

        def step(i, y, total):
            t = start + h * tf.cast(i, tf.float32)
            v1, d1 = slope(y, t)
            v2, d2 = slope(y + 0.5 * h * v1, t + 0.5 * h)
            v3, d3 = slope(y + 0.5 * h * v2, t + 0.5 * h)
            v4, d4 = slope(y + h * v3, t + h)
            y += h / 6.0 * (v1 + 2.0 * (v2 + v3) + v4)
            return i + 1, y, total + h / 6.0 * (d1 + 2.0 * (d2 + d3) + d4)

        _, y, total = tf.while_loop(
            lambda i, *_: i < self._steps,
            step,
            (0, y, tf.zeros(tf.shape(y)[:-1])),
            maximum_iterations=self._steps,
        )
        return y, total
