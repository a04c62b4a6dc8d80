"""What a run computes with: the libraries' versions and the device."""

import importlib.metadata
import platform
from typing import Any

import jax

LIBRARIES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint")


def versions() -> dict[str, str]:
    """Return the versions of this package, Python and the libraries that decide a result."""
    return {
        "rl3_jax": _version("rl3-jax"),
        "python": platform.python_version(),
    } | {name.removesuffix("-checkpoint"): _version(name) for name in LIBRARIES}


def device() -> dict[str, Any]:
    """Return the devices that JAX computes on."""
    devices = jax.devices()
    return {"platform": devices[0].platform, "kind": devices[0].device_kind, "count": len(devices)}


def changes(recorded: dict[str, str]) -> list[str]:
    """Return a description of each version that is another one now than was recorded."""
    now = versions()
    return [
        f"{name} {recorded.get(name, 'unknown')} -> {now[name]}"
        for name in now
        if recorded.get(name) != now[name]
    ]


def _version(distribution: str) -> str:
    """Return an installed distribution's version."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"  # this package, run from its source tree
