"""The command `rl3`, and what XLA must be told before it starts."""

import os
import signal
import sys
import time

from rl3_jax.errors import ConfigError
from rl3_jax.overview import print_overview, print_version
from rl3_jax.startup import join_hosts, make_deterministic, one_device_a_core
from rl3_jax.streams import open_streams, printing

TRAINING = ("train", "plan", "sweep", "resume", "doctor")
"""Commands whose work devices share."""


def main() -> int:
    """Run the command that was typed; returns the exit code."""
    open_streams()
    if sys.argv[1:] in ([], ["-h"], ["--help"]):
        return printing(print_overview)
    if sys.argv[1:] == ["--version"]:
        return printing(print_version)
    if time.time() < 0.0:
        print("error: the clock shows a time before 1970, with which JAX ends; set it", file=sys.stderr)
        return 2
    if any(argument.startswith("--target") for argument in sys.argv):
        os.environ.setdefault("JAX_PLATFORMS", "cpu")  # an accelerator that is not there is not looked for
    elif sys.argv[1:2] and sys.argv[1] in TRAINING:
        one_device_a_core(os.environ)
    if "--deterministic" in sys.argv:
        make_deterministic(os.environ)
    try:
        join_hosts(sys.argv[1:])
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    # Ctrl-C while libraries are imported ends the process: some would swallow Python's exception.
    previous = signal.getsignal(signal.SIGINT)
    if previous is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from rl3_jax.cli import main
    from rl3_jax.run.signals import end_process

    signal.signal(signal.SIGINT, previous)
    code = main()
    end_process(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
