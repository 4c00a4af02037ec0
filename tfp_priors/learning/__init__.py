"""How groups of variables learn: looked-at data, a step, means, codes at rest."""
