"""`image build`: the code of the working tree as one layer, which stays here."""

from lifecycle.domain.permissions import READ_IMAGES
from lifecycle.ports import Ports
from lifecycle.ports.code import CodeLayer

PERMISSIONS = {"image build": READ_IMAGES}


def build_layer(ports: Ports) -> CodeLayer:
    """The layer that `image push` would push. Raises `CapctlError("base-missing")` before the first `image base`."""
    return ports.code.layer()
