"""No penalty: the plain autoencoder, the control of every table."""

from regularizers import Regularizer


class Unregularized(Regularizer):
    """Zero, whatever the codes: shows what the prior's samples are worth when nothing matches it."""

    title = "Autoencoder (no regularizer)"
