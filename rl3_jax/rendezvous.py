"""Processes of one run find each other before JAX connects them.

JAX ends a process that waits in vain for others, or whose port is taken, from within C++: with a stack trace,
and without an exception that a command could report. So they meet here first, over one TCP connection each.
"""

import contextlib
import json
import socket
import time
from collections.abc import Sequence

from rl3_jax.errors import ConfigError

RETRY_SECONDS = 0.1
GREETING_SECONDS = 5.0
"""How long the first process listens to a connection that says nothing."""
GRACE_SECONDS = 5.0
"""How much longer than the first process the others wait: until it has told them who is missing."""


def meet(address: str, num_processes: int, process: int, seconds: float) -> None:
    """Return once all processes have arrived at the address of the first, HOST:PORT.

    Raises:
      ConfigError: in each process that has come: if the port is in use, the first process cannot be reached,
        others are missing after so many seconds, or two have the same number.
    """
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit() and 0 < int(port) < 2**16):
        raise ConfigError(f"coordinator is {address}; give HOST:PORT, the address of the first process")
    if not 0 <= process < num_processes:
        raise ConfigError(f"process-id is {process}; {num_processes} processes have 0 to {num_processes - 1}")
    end = time.monotonic() + seconds
    if process == 0:
        problems = _receive(int(port), num_processes, end)
    else:
        greeting = {"num_processes": num_processes, "process": process}
        problems = _arrive(host.strip("[]"), int(port), greeting, end)
    if problems:
        raise ConfigError(problems)


def _receive(port: int, num_processes: int, end: float) -> Sequence[str]:
    """Wait for all others and tell them so; returns what is wrong, which they are told, too."""
    arrived: set[int] = set()
    problems: list[str] = []
    with contextlib.ExitStack() as stack:
        both = socket.has_dualstack_ipv6()  # then the socket is of all interfaces of both kinds
        family = socket.AF_INET6 if both else socket.AF_INET
        try:
            server = stack.enter_context(socket.create_server(("", port), family=family, dualstack_ipv6=both))
        except OSError as error:
            return [f"cannot listen at port {port} ({error.strerror}); choose another for --coordinator"]
        guests = []
        while not problems and (missing := set(range(1, num_processes)) - arrived):
            if (left := end - time.monotonic()) <= 0:
                problems = [f"of {num_processes} processes these did not come in time: {sorted(missing)}"]
                break
            server.settimeout(left)
            try:
                guest = stack.enter_context(server.accept()[0])
                guest.settimeout(GREETING_SECONDS)
                greeting = _read(guest)
                process, number = int(greeting["process"]), int(greeting["num_processes"])
            except (OSError, ValueError, KeyError, TypeError):
                continue  # nobody yet, or not a process of this program
            if number != num_processes:
                problems = [f"process 0 has --num-processes {num_processes}, process {process} has {number}"]
            elif process in arrived:
                problems = [f"two processes have --process-id {process}"]
            arrived.add(process)
            guests.append(guest)
        for guest in guests:
            # The other side closes first: the port is then free at once, for JAX.
            with contextlib.suppress(OSError):
                guest.sendall(json.dumps(problems).encode() + b"\n")
                guest.settimeout(GREETING_SECONDS)
                guest.recv(1)
    return problems


def _arrive(host: str, port: int, greeting: dict[str, int], end: float) -> Sequence[str]:
    """Tell the first process that this one is here; returns what it says is wrong."""
    where = f"{host}:{port}"
    while True:
        try:
            connection = socket.create_connection((host, port), timeout=max(end - time.monotonic(), 0.1))
            break
        except OSError as error:
            if time.monotonic() >= end:
                return [f"cannot reach the first process at {where} ({error.strerror or error})"]
            time.sleep(RETRY_SECONDS)
    with connection:
        try:
            connection.sendall(json.dumps(greeting).encode() + b"\n")
            connection.settimeout(max(end - time.monotonic(), 0.0) + GRACE_SECONDS)
            return list(_read(connection))
        except (OSError, ValueError, TypeError):
            return [
                f"the first process does not answer at {where}; it stopped, or another program has this port"
            ]


def _read(connection: socket.socket):
    with connection.makefile("rb") as lines:
        return json.loads(lines.readline(2**16))
