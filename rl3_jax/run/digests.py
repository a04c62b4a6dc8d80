"""Digests by which damage is noticed, of JSON values and arrays; files of arrays that have one."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from jaxtyping import ArrayLike

from rl3_jax.errors import ConfigError

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


def packed(arrays: dict[str, np.ndarray], noted: dict[str, Any], content: Any) -> bytes:
    """Return a safetensors file of arrays that notes JSON values, and a digest of `content` and arrays."""
    about = json.dumps(noted | {DIGEST: digest(content, arrays)})
    return safetensors.numpy.save(arrays, metadata={ABOUT: about})


def unpacked(path: Path, noted: str) -> tuple[dict[str, np.ndarray], Any, str]:
    """Return the arrays of such a file, one value that it notes, and its digest.

    Raises a `ConfigError` that says why if it cannot be read.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            about = json.loads(file.metadata()[ABOUT])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return arrays, about[noted], about[DIGEST]
    except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(str(error) or type(error).__name__) from None
