"""Loggers that are extras."""

import importlib.util
import sys
import types

import pytest

from rl3_jax import ConfigError, resume, train
from rl3_jax.run.metrics import logger_problems
from tests.run import tiny


@pytest.mark.parametrize(("name", "module"), [("tensorboard", "tensorboardX"), ("wandb", "wandb")])
def test_a_missing_extra_is_named(tmp_path, monkeypatch, name, module):
    installed = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else installed(name))
    with pytest.raises(ConfigError, match=rf"pip install 'rl3-jax\[{name}\]'"):
        train(tiny.CONFIG, tmp_path / "run", log=name)
    assert tiny.tree(tmp_path) == []


def test_tensorboard_gets_each_line(tmp_path):
    pytest.importorskip("tensorboardX")
    run = train(tiny.CONFIG, tmp_path / "run", log="tensorboard", progress=False)
    resume(run.path, 13, progress=False)
    events = list((run.path / "tensorboard").iterdir())
    assert events  # one file, if both began in the same second
    assert all(b"mean_return" in file.read_bytes() for file in events)


def test_wandb_gets_each_line(tmp_path, monkeypatch):
    started, logged = [], []
    session = types.SimpleNamespace(
        log=lambda values, step: logged.append((step, values)), finish=lambda: started.append("finished")
    )

    def init(**options):
        started.append(options["id"])
        return session

    wandb = types.SimpleNamespace(init=init, __spec__=importlib.util.spec_from_loader("wandb", None))
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    run = train(tiny.CONFIG, tmp_path / "run", log="wandb", progress=False)
    resume(run.path, 13, progress=False)
    assert [step for step, _ in logged] == list(range(1, 14))
    assert started[0] == started[2]
    assert started[1] == started[3] == "finished"
    assert logger_problems("wandb") == []
