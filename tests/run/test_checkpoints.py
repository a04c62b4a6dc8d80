"""What a checkpoint holds, and that no damage to it goes unnoticed."""

import contextlib
import json
import random
import shutil

import jax
import numpy as np
import pytest
import safetensors
import safetensors.numpy

from rl3_jax import ConfigError, load_agent, resume, training
from rl3_jax.run.checkpoints import OnDisk, read_checkpoint, write_checkpoint
from rl3_jax.run.digests import ABOUT, DIGEST
from rl3_jax.run.folder import RunFolder, checkpoint_file, checkpoint_files
from rl3_jax.training import TrainConfig, serialise
from tests.faults.fuzz import flipped
from tests.run import tiny

FLIPS = 400


@pytest.fixture
def copy(finished, tmp_path):
    """A run of 12 iterations, with its checkpoints after 4, 8 and 12."""
    return RunFolder(shutil.copytree(finished.path, tmp_path / "run"))


def restored(folder, config=tiny.CONFIG):
    """What a run goes on from, and what it says about that."""
    with contextlib.ExitStack() as stack:
        run = OnDisk(folder, folder.read(), stack)
        run.config = config
        messages = run.restore(tiny.first_device())
    return run.state, messages


def test_a_state_is_read_as_it_was_written(copy):
    state, config = training.init(tiny.CONFIG, jax.random.key(5)), serialise.to_dict(tiny.CONFIG)
    path = checkpoint_file(copy.checkpoints, 16)
    write_checkpoint(path, config, state)
    written = path.read_bytes()
    write_checkpoint(path, config, state)
    assert path.read_bytes() == written
    read, messages = restored(copy)
    assert messages == []
    assert jax.random.key_impl(read.key) == jax.random.key_impl(state.key)
    jax.tree.map(np.testing.assert_array_equal, tiny.on_host(read), tiny.on_host(state))
    assert read_checkpoint(path)[0] == config


def test_the_newest_are_kept(copy):
    assert [path.name for path in checkpoint_files(copy.checkpoints)] == [
        f"{done}.safetensors" for done in (12, 8, 4)
    ]
    assert [
        path.stem for path in checkpoint_files(resume(copy.path, 20, progress=False).path / "checkpoints")
    ] == [
        "20",
        "16",
        "12",
    ]


def test_no_flipped_bit_of_a_checkpoint_goes_unnoticed(copy):
    path, chance = checkpoint_file(copy.checkpoints, 12), random.Random(0)
    data = path.read_bytes()
    assert read_checkpoint(path)[2] == ""
    for _ in range(FLIPS):
        path.write_bytes(flipped(data, chance))
        assert read_checkpoint(path)[2] != ""


def test_no_flipped_bit_of_an_agent_goes_unnoticed(copy):
    """In its JSON, a bit that changes one kind of space into another is no damage."""
    chance = random.Random(0)
    written = load_agent(copy.path)
    for file, times in (("actor.safetensors", FLIPS), ("agent.json", FLIPS)):
        path = copy.agent / file
        data = path.read_bytes()
        for _ in range(times):
            path.write_bytes(flipped(data, chance))
            try:
                read = load_agent(copy.path)
            except ConfigError:
                continue
            assert file == "agent.json"
            assert read.config == written.config
        path.write_bytes(data)


@pytest.mark.parametrize("content", [b"", b"not arrays", None])
def test_a_damaged_checkpoint_is_moved_aside(finished, copy, content):
    newest = checkpoint_file(copy.checkpoints, 12)
    content = newest.read_bytes()[:-1] if content is None else content
    newest.write_bytes(content)
    state, (message,) = restored(copy)
    assert state.iteration == 8
    (aside,) = copy.checkpoints.glob("12.safetensors.damaged-*")
    assert aside.read_bytes() == content
    assert f"{newest} is damaged" in message
    assert aside.name in message
    tiny.assert_same_outcome(finished, resume(copy.path, progress=False))


def test_a_run_without_a_whole_checkpoint_stays_as_it_is(copy):
    for path in checkpoint_files(copy.checkpoints):
        path.write_bytes(path.read_bytes().replace(b'"num_arms', b'"gum_arms'))
    before = tiny.tree(copy.path)
    with pytest.raises(ConfigError, match=r"4\.safetensors is damaged") as caught:
        restored(copy)
    assert len(caught.value.problems) == 4
    assert tiny.tree(copy.path) == before


def test_a_checkpoint_may_lack_a_field_that_is_newer(copy):
    state, _ = restored(copy)
    older = serialise.to_dict(tiny.CONFIG)
    del older["checkpoint_every"]
    config = tiny.vary(checkpoint_every=TrainConfig().checkpoint_every)
    path = checkpoint_file(copy.checkpoints, 12)
    write_checkpoint(path, older, state)
    assert restored(copy, config)[0].iteration == 12
    write_checkpoint(path, older | {"novel": 1}, state)
    with pytest.raises(ConfigError, match=r"configuration in checkpoint .*unknown field 'novel'"):
        restored(copy, config)


def test_other_arrays_are_refused(copy):
    path = checkpoint_file(copy.checkpoints, 12)
    other = training.init(tiny.vary(policy=tiny.GRID.policy), jax.random.key(0))
    write_checkpoint(path, serialise.to_dict(tiny.CONFIG), other)
    with pytest.raises(ConfigError, match="has other arrays"):
        restored(copy)


def test_checkpoints_of_an_earlier_version_are_refused(copy):
    (copy.checkpoints / "12").mkdir()
    with pytest.raises(ConfigError, match="of an earlier version"):
        resume(copy.path, progress=False)


def test_a_digest_is_of_all_that_is_read(copy):
    """What is written again with other content and the old digest is damaged, too."""
    path = checkpoint_file(copy.checkpoints, 12)
    with safetensors.safe_open(path, framework="numpy") as file:
        about = json.loads(file.metadata()[ABOUT])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118

    def problem(about, arrays):
        path.write_bytes(safetensors.numpy.save(arrays, metadata={ABOUT: json.dumps(about)}))
        return read_checkpoint(path)[2]

    assert problem(about, arrays) == ""
    for other in (arrays | {"iteration": np.array(13, np.int32)}, arrays | {"more": arrays["iteration"]}):
        assert problem(about, other) == "its content is not what was written"
    assert problem(about | {"config": about["config"] | {"seed": 1}}, arrays) != ""
    assert problem({"config": about["config"]}, arrays) == f"'{DIGEST}'"
