"""Damages the files of a run folder, and looks at what commands make of it.

    python -m tests.faults.fuzz CASES [SEED]

A command does its work or refuses with a message; a run that goes on comes to its result or none.
"""

import collections
import copy
import json
import random
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

import jax
import numpy as np

from rl3_jax import Run
from rl3_jax.training.serialise import to_dict
from tests.faults.drive import rl3
from tests.run import tiny

VALUES = (None, True, -1, 0, 0.5, "text", [], {}, [[]], {"a": 1}, float("inf"))
"""What a value of JSON is replaced by."""
LONGEST = 10.0
"""Seconds that a refusal may take."""


def nodes(value, path=()):
    """The places of all values within a value of JSON."""
    yield path
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, child in children:
        yield from nodes(child, (*path, name))


def changed(value, chance):
    """A value of JSON of which a part is another, or gone."""
    value = copy.deepcopy(value)
    *path, last = chance.choice([path for path in nodes(value) if path] or [(None,)])
    if last is None:
        return chance.choice(VALUES)
    parent = value
    for name in path:
        parent = parent[name]
    if chance.random() < 0.3:
        del parent[last]
    else:
        parent[last] = chance.choice(VALUES)
    return value


def flipped(data, chance):
    """Bytes of which one bit is another."""
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]


def damage(file, chance):
    """Damage a file in one of many ways; returns which."""
    data = file.read_bytes()
    ways = ["gone", "folder", "empty", "cut", "bit", "noise", "link"]
    if file.suffix in (".json", ".jsonl"):
        ways += ["json"] * 7
    way = chance.choice(ways)
    if way == "json":
        lines = data.decode().splitlines() if file.suffix == ".jsonl" else [data.decode()]
        which = chance.randrange(len(lines))
        lines[which] = json.dumps(changed(json.loads(lines[which]), chance))
        file.write_text("\n".join(lines) + "\n")
    elif way == "cut":
        file.write_bytes(data[: chance.randrange(len(data))])
    elif way == "bit":
        file.write_bytes(flipped(data, chance))
    elif way == "noise":
        place = chance.randrange(len(data))
        file.write_bytes(data[:place] + chance.randbytes(20) + data[place + 20 :])
    else:
        file.unlink()
        if way == "folder":
            file.mkdir()
        elif way == "empty":
            file.touch()
        elif way == "link":
            file.symlink_to("nowhere")
    return way


def assert_same_state(one, other):
    """Two runs have learnt the same."""
    jax.tree.map(np.testing.assert_array_equal, tiny.final_state(one.path), tiny.final_state(other.path))


def fuzz(cases, seed=0):
    """Try so many cases; returns how many went wrong."""
    chance, tried, wrong = random.Random(seed), collections.Counter(), collections.Counter()
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        (home / "tiny.json").write_text(json.dumps(to_dict(tiny.CONFIG)))
        whole, other, run, out = (home / name for name in ("whole", "other", "run", "out"))
        assert rl3("train", "--config", home / "tiny.json", "--out", whole)[0] == 0
        shutil.copytree(whole, other)
        for done in (whole, other):
            assert rl3("compare", done, "--out", out)[0] == 0
        commands = {
            "evaluate": ("evaluate", run, "--num-tasks", 4),
            "compare": ("compare", run, "--out", out),
            "report": ("report", run, other, "--out", out),
            "resume": ("resume", run),
            "watch": ("watch", run, "--out", out / "watch.gif"),
            "export": ("export", run, "--out", out / "export"),
            "train": ("train", "--config", run / "config.json", "--iterations", 1, "--out", out / "run"),
        }
        slow = {"watch": 0.1, "compare": 0.3, "report": 0.5}
        for case in range(cases):
            for path in (run, out):
                shutil.rmtree(path, ignore_errors=True)
            shutil.copytree(whole, run)
            files = sorted(path for path in run.rglob("*") if path.is_file())
            file = chance.choice(files)
            name = chance.choices(list(commands), [slow.get(name, 1.0) for name in commands])[0]
            way = damage(file, chance)
            what = f"case {case}: {name}, {file.relative_to(run)}, {way}"
            tried[name] += 1
            started, code, problem = time.monotonic(), 0, ""
            try:
                code, said = rl3(*commands[name])
                if code not in (0, 1, 2) or (code and "error: " not in said):
                    problem = f"exit code {code}: {said}"
                elif name == "resume" and code == 0:
                    # What metrics say of times past, nothing else knows.
                    check = assert_same_state if file.name == "metrics.jsonl" else tiny.assert_same_outcome
                    check(Run(whole), Run(run))
            except Exception:
                problem = traceback.format_exc()
            if code and (seconds := time.monotonic() - started) > LONGEST:
                problem += f" it took {seconds:.0f} s to refuse"
            if problem:
                wrong[name] += 1
                print(f"{what}: {problem}", flush=True)
    for name in commands:
        print(f"{name}: {tried[name]} tried, {wrong[name]} wrong")
    return sum(wrong.values())


if __name__ == "__main__":
    sys.exit(fuzz(*map(int, sys.argv[1:])) > 0)
