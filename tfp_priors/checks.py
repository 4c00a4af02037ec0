"""Checks of arguments that several parts share."""

from tfp_priors.errors import UserError


def check_latent_size(latent_size: int, owner: str, minimum: int = 1) -> int:
    """Returns `latent_size` if it is a whole number of at least `minimum`.

    Raises:
      UserError: otherwise; `owner` is named in the message.
    """
    if latent_size != int(latent_size) or latent_size < minimum:
        raise UserError(
            f"{owner} expects a latent size of at least {minimum}, "
            f"received {latent_size}. Set LATENT_SIZE."
        )
    return int(latent_size)
