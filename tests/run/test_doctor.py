"""What `rl3 doctor` tells."""

from unittest import mock

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
    wrong = mock.Mock(metrics=[{"max_abs_log_ratio": 0.01}])
    monkeypatch.setattr(doctor, "train", lambda *_, **__: wrong)
    with pytest.raises(NonFiniteError, match=r"log-probabilities of rollouts and training are 1.0e-02 apart"):
        doctor.self_test()
    assert main(["doctor"]) == 1
    assert "self-test failed" in capsys.readouterr().err
