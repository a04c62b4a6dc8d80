"""What `rl3 doctor` tells."""

import pytest

from rl3_jax import NonFiniteError
from rl3_jax.cli import main
from rl3_jax.run import doctor, machine


def test_it_tells_what_is_there_and_trains(capsys):
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    for said in (
        machine.versions()["jax"],
        "1 × cpu",
        "cache: compiled",
        "extra: wandb",
        "self-test passed in",
    ):
        assert said in shown


def test_a_machine_that_computes_wrongly_fails(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "TOLERANCE", -1.0)
    with pytest.raises(NonFiniteError, match="self-test failed: log-probabilities of rollouts and training"):
        doctor.self_test()
    assert main(["doctor"]) == 1
    assert "self-test failed" in capsys.readouterr().err
