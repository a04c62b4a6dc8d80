"""Processes that meet before JAX connects them, here as threads."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from rl3_jax.errors import problems_of
from rl3_jax.rendezvous import meet
from tests.ports import free_port


def meeting(*processes, port=None, seconds=10.0):
    """What each of some processes, (number of processes, which), is told to be wrong."""
    address = f"127.0.0.1:{port or free_port()}"
    with ThreadPoolExecutor(len(processes)) as pool:
        return list(pool.map(lambda one: problems_of(meet, address, *one, seconds), processes))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_all_meet_in_any_order_and_again_at_once_at_the_same_port(order):
    port = free_port()
    for _ in range(3):
        assert meeting(*((3, process) for process in order), port=port) == [[], [], []]


def test_one_alone_waits_for_nobody():
    assert meeting((1, 0)) == [[]]


def test_all_that_have_come_are_told_who_has_not():
    missing = ["of 4 processes these did not come in time: [1, 3]"]
    assert meeting((4, 0), (4, 2), seconds=1.0) == [missing, missing]


def test_two_with_one_number_are_refused():
    found = meeting((3, 0), (3, 1), (3, 1))
    assert found == [["two processes have --process-id 1"]] * 3


def test_another_number_of_processes_is_refused():
    found = meeting((2, 0), (3, 1))
    assert found == [["process 0 has --num-processes 2, process 1 has 3"]] * 2


@pytest.mark.parametrize("speaks", [True, False])
def test_a_port_in_use_is_named_on_both_sides(speaks):
    with ThreadPoolExecutor(1) as pool, socket.create_server(("", 0)) as other:
        port = other.getsockname()[1]
        if speaks:
            pool.submit(lambda: other.accept()[0].sendall(b"220 hello\n"))
        (first,), (second,) = meeting((2, 0), (2, 1), port=port, seconds=1.0)
    assert first.startswith(f"cannot listen at port {port}")
    assert "another program has this port" in second


def test_strangers_are_not_counted():
    port = free_port()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(problems_of, meet, f"127.0.0.1:{port}", 2, 0, 10.0)
        for words in (b"GET / HTTP/1.1\n", b"[1]\n", b'{"process": []}\n', b""):
            with connected(port) as stranger:
                stranger.sendall(words)
        assert meeting((2, 1), port=port) == [[]]
        assert first.result() == []


def connected(port):
    """A connection to a port at which somebody will soon listen."""
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            pass


def test_a_first_process_that_is_not_there_is_named():
    port = free_port()
    ((found,),) = meeting((2, 1), port=port, seconds=0.5)
    assert found.startswith(f"cannot reach the first process at 127.0.0.1:{port} (Connection refused)")
    assert problems_of(meet, "no.such.host.invalid:1", 2, 1, 0.5)[0].startswith("cannot reach the first")


@pytest.mark.parametrize(
    ("address", "number", "process", "message"),
    [
        ("here", 2, 0, "coordinator is here; give HOST:PORT"),
        ("here:many", 2, 0, "coordinator is here:many"),
        ("here:70000", 2, 0, "coordinator is here:70000"),
        (":80", 2, 0, "coordinator is :80"),
        ("here:80", 2, 2, "process-id is 2; 2 processes have 0 to 1"),
    ],
)
def test_arguments_without_sense_are_refused(address, number, process, message):
    assert problems_of(meet, address, number, process, 1.0)[0].startswith(message)
