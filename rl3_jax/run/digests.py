"""Digests by which damage to files is noticed: of what they hold, whatever the format they are written in."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import ArrayLike

ABOUT = "rl3_jax"
"""The one entry of the metadata of a safetensors file, JSON: of several the order would differ by chance."""
DIGEST = "sha256"
"""The name under which a file has the digest of the rest."""


def digest(content: Any, arrays: Mapping[str, ArrayLike]) -> str:
    """Return the SHA-256 of JSON values and of arrays: their names, types, shapes and bytes."""
    found = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        found.update(f"{name} {array.dtype} {array.shape} ".encode())
        found.update(array.tobytes())
    return found.hexdigest()
