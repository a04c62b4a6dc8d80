"""The command `rl3`, and what XLA must be told before it starts."""

import os
import sys


def main() -> int:
    """Run the command that was typed; returns the exit code."""
    one_thread_a_device()
    if any(argument.startswith("--target") for argument in sys.argv):
        os.environ.setdefault("JAX_PLATFORMS", "cpu")  # an accelerator that is not there is not looked for
    from rl3_jax.cli import main

    return main()


def one_thread_a_device() -> None:
    """Make each core of a CPU a device that computes on one thread, unless the user has said otherwise.

    The small operations of a trial gain little or nothing from several threads (docs/measurements.md), while
    devices share trials. And a result then depends on the number of devices, not on the machine's cores.
    JAX reads this from the environment when it is first used.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault("JAX_NUM_CPU_DEVICES", str(cores))
    os.environ.setdefault("NPROC", "1")
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_multi_thread_eigen" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()


if __name__ == "__main__":
    sys.exit(main())
