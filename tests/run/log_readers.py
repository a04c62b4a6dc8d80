"""What programs that show logs find in their files, read back."""

import json
import sqlite3
import struct

BLOCK = 2**15
"""Bytes after which a file of Weights & Biases begins a new block, as LevelDB's logs do."""


def events(folder):
    """The TensorBoard events of a folder's files, in the order of the files."""
    from tensorboardX.proto.event_pb2 import Event

    for file in sorted(folder.iterdir()):
        data, at = file.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            yield Event.FromString(data[at + 12 : at + 12 + length])
            at += 12 + length + 4


def records(file):
    """The records of a file of Weights & Biases: after seven bytes pieces with seven bytes of header each."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole = file.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while at < len(data):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
        _, length, kind = struct.unpack_from("<IHB", data, at)
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole record, or the last piece of one
            yield Record.FromString(whole)
            whole = b""


def history(file):
    """What a file of Weights & Biases has of each step: values by name."""
    found = {}
    for record in records(file):
        if record.HasField("history"):
            items = {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
            values = {name: json.loads(text) for name, text in items.items()}
            found.setdefault(values["_step"], {}).update(values)
    return found


def trackio_run(file, name):
    """The configuration that a database of Trackio has of a run, and each line: step and values by name."""
    with sqlite3.connect(file) as database:
        (config,) = database.execute("SELECT config FROM configs WHERE run_name = ?", [name]).fetchone()
        rows = database.execute("SELECT step, metrics FROM metrics WHERE run_name = ? ORDER BY id", [name])
        lines = [(step, json.loads(values)) for step, values in rows]
    database.close()
    return json.loads(config), lines
