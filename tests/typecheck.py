"""The type checker that tests run the package under: beartype, with jaxtyping's shapes and dtypes."""

from beartype import beartype


def check(function):
    """Return the function with its annotations checked at each call.

    Constructors are left alone: JAX rebuilds a pytree with whatever stands in for its leaves (batch
    axes, shardings, None), so the fields of a dataclass need not hold what they are annotated with.
    """
    return function if "__init__" in function.__name__ else beartype(function)
