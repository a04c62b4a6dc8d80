"""What a compiled program does, counted from its text: XLA's optimised HLO."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

FREE = {
    "parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "opt-barrier",
    "partition-id", "replica-id", "call", "while", "conditional",
}  # fmt: skip
"""Instructions that start no kernel of their own; nor do those that end in `-done`."""
SLICING = ("dynamic-slice", "gather", "slice")
UPDATING = ("dynamic-update-slice", "scatter")
COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s16": 2, "u16": 2, "f64": 8, "s64": 8, "u64": 8}
"""Bytes of a number; 4 where not given."""

HEADER = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
INSTRUCTION = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (.*?) ([a-z][a-z0-9\-]*)\((.*)$")
ARRAY = re.compile(r"\b([a-z]+[0-9]*)\[([0-9,]*)\]")
CALLED = re.compile(r"\b(?:calls|body|condition|to_apply|\w+_computation)=%?([\w.\-]+)")
BRANCHES = re.compile(r"\bbranch_computations=\{([^}]*)\}")

Cost = Counter[str]
"""`kernels` (launches), `conditionals` (branches that depend on a number which the device has computed),
`open_loops` (loops that end by such a number), `collectives`, `flops` (of matrix products) and `bytes` (read
and written by kernels, from whatever memory). Of a conditional the most expensive branch counts."""
NAMES = ("kernels", "conditionals", "open_loops", "collectives", "flops", "bytes")


class Instruction(NamedTuple):
    """One instruction of a computation.

    `kind` is the type of its result, as text, `operands` the names of what it reads, and `rest` its text from
    there on. The root is the computation's result.
    """

    name: str
    opcode: str
    kind: str
    operands: list[str]
    rest: str
    is_root: bool

    @property
    def called(self) -> list[str]:
        """The names of the computations that it runs."""
        branches = BRANCHES.search(self.rest)
        return CALLED.findall(self.rest) + (re.findall(r"[\w.\-]+", branches[1]) if branches else [])

    @property
    def trips(self) -> int | None:
        """How often a loop runs, if that is known."""
        found = re.search(r'"known_trip_count":\{"n":"(\d+)"', self.rest)
        return int(found[1]) if found else None

    @property
    def scope(self) -> str:
        """Where in the program's source it comes from: `jit(f)/while/body/…`."""
        found = re.search(r'op_name="([^"]*)"', self.rest)
        return found[1] if found else ""


class Program:
    """A compiled program.

    Attributes:
      computations: the instructions of each, by name.
      entry: the name of the one that runs first.
    """

    def __init__(self, text: str):
        """Read the text of `jax.stages.Compiled`."""
        self.computations: dict[str, dict[str, Instruction]] = {}
        self.entry = name = ""
        for line in text.splitlines():
            if header := HEADER.match(line):
                name = header[2]
                self.computations[name] = {}
                self.entry = name if header[1] else self.entry
            elif name and (found := INSTRUCTION.match(line)):
                operands = re.findall(r"%([\w.\-]+)", _inside(found[5]))
                self.computations[name][found[2]] = Instruction(
                    found[2], found[4], found[3], operands, found[5], bool(found[1])
                )

    def loops(self) -> Iterator[tuple[Instruction, str]]:
        """Yield each loop and the name of its body."""
        for computation in self.computations.values():
            for instruction in computation.values():
                if instruction.opcode == "while":
                    yield instruction, self._called(instruction, "body")

    def _called(self, instruction: Instruction, what: str) -> str:
        """Return the name of the computation that an instruction has under a name."""
        return re.findall(rf"\b{what}=%?([\w.\-]+)", instruction.rest)[0]

    def cost(self, computation: str) -> Cost:
        """Return what a computation does, with all that it calls; a loop of unknown length runs once."""
        found: Cost = Counter()
        for instruction in self.computations[computation].values():
            if instruction.opcode == "conditional":
                branches = map(self.cost, instruction.called)
                found["conditionals"] += 1
                found += max(branches, key=lambda cost: (cost["kernels"], cost["bytes"]))
            elif instruction.opcode == "while":
                found["open_loops"] += instruction.trips is None
                # Where the number of rounds is known, the condition is not computed.
                body, condition = (self._called(instruction, what) for what in ("body", "condition"))
                rounds = instruction.trips or 1
                found += Counter({name: rounds * amount for name, amount in self.cost(body).items()})
                found += self.cost(condition) if instruction.trips is None else Counter()
            elif instruction.opcode == "call":
                found += sum(map(self.cost, instruction.called), Counter())
            elif instruction.opcode not in FREE and not instruction.opcode.endswith("-done"):
                found["kernels"] += 1
                found["collectives"] += instruction.opcode.startswith(COLLECTIVES)
                found["flops"] += self._flops(instruction, self.computations[computation])
                found["bytes"] += self._bytes(instruction, self.computations[computation])
        return found

    def _flops(self, instruction: Instruction, beside: Mapping[str, Instruction]) -> int:
        """Return the arithmetic of the matrix products of a kernel; `beside` are the computation's others."""
        found = sum(
            self._flops(inner, self.computations[name])
            for name in instruction.called
            for inner in self.computations[name].values()
        )
        contracted = re.search(r"lhs_contracting_dim\w*(?:=|\":)[{\[]([^}\]]*)", instruction.rest)
        if instruction.opcode in ("dot", "custom-call") and contracted:
            sizes = shapes(beside[instruction.operands[0]].kind)[0][1]
            axes = [int(axis) for axis in re.findall(r"\d+", contracted[1])]
            found += 2 * math.prod(shapes(instruction.kind)[0][1]) * math.prod(sizes[axis] for axis in axes)
        labels = re.search(r"dim_labels=\w+_(\w+)->", instruction.rest)
        if instruction.opcode == "convolution" and labels:  # as TPUs multiply matrices; `i` is summed over
            sizes = shapes(beside[instruction.operands[1]].kind)[0][1]
            found += 2 * math.prod(shapes(instruction.kind)[0][1]) * sizes[labels[1].index("i")]
        return found

    def _bytes(self, instruction: Instruction, beside: Mapping[str, Instruction]) -> int:
        """Return what a kernel reads and writes; of what it slices or updates in place, that part alone."""
        if instruction.opcode in SLICING:
            return 2 * num_bytes(instruction.kind)
        if instruction.opcode in UPDATING:
            return 2 * _written(beside, instruction)
        if "fusion" not in instruction.opcode:
            return num_bytes(instruction.kind) + sum(
                num_bytes(beside[name].kind) for name in instruction.operands if name in beside
            )
        inner = self.computations[instruction.called[0]]
        found = 0
        for own in inner.values():
            if own.opcode == "parameter":
                uses = list(_uses(inner, own.name))
                in_place = all(user.opcode in UPDATING and name == user.operands[0] for user, name in uses)
                if all(user.opcode in SLICING for user, _ in uses):
                    found += sum(num_bytes(user.kind) for user, _ in uses)
                elif not in_place:
                    found += num_bytes(own.kind)
            if own.is_root:
                found += _written(inner, own)
        return found


def _inside(text: str) -> str:
    """Return the part of a text before the bracket that closes one that was opened before it."""
    depth = 1
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return text[:place]
    return text


def _uses(computation: Mapping[str, Instruction], name: str) -> Iterator[tuple[Instruction, str]]:
    """Yield what reads a value, and under which name.

    A change of shape is looked through, as is a slice that is only sliced once more.
    """
    for user in computation.values():
        if name in user.operands:
            further = list(_uses(computation, user.name)) if user.opcode in ("bitcast", "slice") else []
            sliced = all(reader.opcode in SLICING for reader, _ in further)
            if user.opcode == "bitcast" or (further and sliced):
                yield from further
            else:
                yield user, name


def _written(computation: Mapping[str, Instruction], root: Instruction) -> int:
    """Return the bytes that a fused computation writes as this result."""
    if root.opcode in ("tuple", "bitcast"):
        return sum(_written(computation, computation[name]) for name in root.operands if name in computation)
    if root.opcode == "dynamic-update-slice":
        return num_bytes(computation[root.operands[1]].kind)
    if root.opcode == "scatter":  # arrays, indices, and an update for each array
        updates = root.operands[-(len(root.operands) // 2) :]
        return sum(num_bytes(computation[name].kind) for name in updates)
    return num_bytes(root.kind)


def shapes(kind: str) -> list[tuple[str, list[int]]]:
    """Return the number type and the sizes of each array of a type."""
    return [
        (number, [int(size) for size in sizes.split(",") if size]) for number, sizes in ARRAY.findall(kind)
    ]


def num_bytes(kind: str) -> int:
    """Return the bytes of all arrays of a type."""
    return sum(BYTES.get(number, 4) * math.prod(sizes) for number, sizes in shapes(kind))


def training_costs(text: str) -> dict[str, dict[str, int]]:
    """Return what `train_steps` does in a step of all trials and in a gradient step, by `NAMES`.

    The two loops are found by the names that `trial.rollout` and `ppo.update` give them. XLA removes a loop
    of one iteration, so it is not counted.
    """
    program = Program(text)
    found, steps = {}, []
    for loop, body in program.loops():
        if re.search(r"/rollout/while/body/(?:[^/]+/)?while$", loop.scope):
            found["rollout_step"] = program.cost(body)
        directly = re.compile(re.escape(loop.scope) + r"/body/(?:[^/]+/)?minibatch\b")
        if any(directly.match(inner.scope) for inner in program.computations[body].values()):
            steps.append(program.cost(body))
    if steps:  # with all networks, or with those alone that the KL limit has not stopped
        found["gradient_step"] = max(steps, key=lambda cost: cost["flops"])
    return {name: {what: cost[what] for what in NAMES} for name, cost in found.items()}
