"""What XLA is told before it starts."""

import os
from unittest import mock

import jax
import pytest

from rl3_jax import ConfigError, startup
from rl3_jax.run import machine


def test_each_core_is_a_device_of_one_thread():
    environment = {"XLA_FLAGS": "--xla_dump_to=/tmp/x"}
    startup.one_device_a_core(environment)
    assert environment["JAX_NUM_CPU_DEVICES"] == str(startup.num_cores())
    assert environment["NPROC"] == "1"
    assert environment["XLA_FLAGS"].startswith("--xla_dump_to=/tmp/x --xla_cpu_multi_thread_eigen=false")


@pytest.mark.parametrize(
    "chosen",
    [
        {"JAX_NUM_CPU_DEVICES": "1"},
        {"NPROC": "3"},
        {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
        {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=true"},
    ],
)
def test_what_the_user_has_chosen_stays(chosen):
    environment = dict(chosen)
    startup.one_device_a_core(environment)
    assert environment == chosen


def test_determinism_is_asked_for_once_and_noted(monkeypatch):
    environment = {"XLA_FLAGS": "--xla_dump_to=/tmp/x"}
    assert not startup.is_deterministic(environment)
    for _ in range(2):
        startup.make_deterministic(environment)
    assert environment["XLA_FLAGS"].split() == ["--xla_dump_to=/tmp/x", startup.DETERMINISTIC]

    class Gpu:
        platform, device_kind, process_index = "gpu", "H100", 0

    monkeypatch.setenv("XLA_FLAGS", environment["XLA_FLAGS"])
    assert machine.described(machine.device([Gpu()])) == "1 × H100, deterministic"
    monkeypatch.setenv("XLA_FLAGS", "")
    assert machine.described(machine.device([Gpu(), Gpu()])) == "2 × H100"
    far = Gpu()
    far.process_index = 1
    assert machine.described(machine.device([Gpu(), far])) == "2 × H100 of 2 processes"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("--xla_gpu_deterministic_ops", True),
        ("--xla_gpu_deterministic_ops=1", True),
        ("--xla_gpu_deterministic_ops=true --xla_gpu_deterministic_ops=false", False),
        ("--xla_gpu_deterministic_ops_of_mine=true", False),
    ],
)
def test_determinism_is_what_the_last_flag_says(flags, expected):
    assert startup.is_deterministic({"XLA_FLAGS": flags}) == expected


def test_the_name_of_a_file_of_flags_stays_as_it_is():
    environment = {"XLA_FLAGS": "/home/me/flags.txt"}
    startup.one_device_a_core(environment)
    startup.make_deterministic(environment)
    assert environment == {"XLA_FLAGS": "/home/me/flags.txt"}


@pytest.mark.parametrize(
    ("quota", "cores"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 8), (None, 8)]
)
def test_a_container_has_the_cores_of_its_quota(quota, cores, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(startup, "CPU_QUOTA", tmp_path / "cpu.max")
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota + "\n")
    assert startup.num_cores() == cores


@pytest.fixture
def joined(monkeypatch):
    """JAX's way of joining processes, which does nothing here."""
    join = mock.Mock()
    monkeypatch.setattr(jax.distributed, "initialize", join)
    monkeypatch.setattr(jax.config, "update", mock.Mock())
    return join


def test_where_jax_finds_no_other_processes_the_reason_is_told(joined):
    joined.side_effect = RuntimeError("no cluster was found\nand more")
    with pytest.raises(ConfigError, match=r"cannot join the processes at auto: no cluster was found$"):
        startup.join_hosts(["train", "--coordinator", "auto"])


def test_processes_have_equally_many_devices(joined, monkeypatch):
    devices = [mock.Mock(process_index=process) for process in (0, 0, 1)]
    monkeypatch.setattr(jax, "devices", lambda: devices)
    with pytest.raises(ConfigError, match="processes have from 1 to 2 devices; give each equally many"):
        startup.join_hosts(["train", "--coordinator=auto"])
    devices.pop(0)
    startup.join_hosts(["train", "--coordinator=auto"])
    assert joined.call_count == 2
