"""What shipping a model says when it cannot."""

from forestay.core.errors import ForestayError


class ShippingError(ForestayError):
    """A model cannot be shipped, or the repository is not what it should be; nothing was changed."""
