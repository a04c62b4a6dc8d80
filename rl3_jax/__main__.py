"""The command `rl3`, and what XLA must be told before it starts."""

import importlib
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
    _import_libraries()
    from rl3_jax.cli import main
    from rl3_jax.run.signals import end_process

    code = main()
    end_process(code)
    return code


def _import_libraries() -> None:
    """Import what takes long. Ctrl-C meanwhile ends the process: some would swallow Python's exception."""
    ending = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ending:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    importlib.import_module("rl3_jax.cli")
    if ending:
        signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    sys.exit(main())
