"""The plane in which codes differ most."""

import numpy as np
from sklearn.decomposition import PCA

from tfp_priors.errors import UserError


def principal_plane(codes: np.ndarray) -> PCA:
    """The first two principal components of codes `[n, d]`.

    Returns:
      Its `transform` maps codes `[m, d]` to the plane, `[m, 2]`;
      `explained_variance_ratio_`, `[2]`, are the axes' shares of the codes' variance.

    Raises:
      UserError: if there are fewer than 2 dimensions or codes.
    """
    if min(codes.shape) < 2:
        raise UserError(
            "A plane of codes needs 2 dimensions and 2 codes at least, received codes "
            f"of shape {codes.shape}."
        )
    # Exact, unlike the randomised solver, and quick for any number of codes.
    return PCA(2, svd_solver="covariance_eigh").fit(codes)
