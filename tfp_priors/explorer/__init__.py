"""A page in the browser on which the latent space of runs is looked at and touched."""

from tfp_priors.explorer.explored import Explored
from tfp_priors.explorer.explored import Settings
from tfp_priors.explorer.views import picture_of
