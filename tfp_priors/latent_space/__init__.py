"""Paths, directions and neighbours in latent space: functions of arrays."""

from tfp_priors.latent_space.attributes import attribute_vector
from tfp_priors.latent_space.attributes import median_unevenness
from tfp_priors.latent_space.attributes import rate_of_change
from tfp_priors.latent_space.attributes import unevenness
from tfp_priors.latent_space.interpolation import lerp
from tfp_priors.latent_space.interpolation import slerp
from tfp_priors.latent_space.neighbours import nearest_neighbours
from tfp_priors.latent_space.paths import paths_between
from tfp_priors.latent_space.plane import principal_plane
