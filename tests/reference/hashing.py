"""States hashed into rows, slowly: written from the design's section 5.4, with Python's integers."""

import struct

WORD = 2**32


def mix(x):
    x = (x ^ (x >> 16)) * 0x85EBCA6B % WORD
    x = (x ^ (x >> 13)) * 0xC2B2AE35 % WORD
    return x ^ (x >> 16)


def digest(numbers, constant):
    return mix(sum(mix((x + (i + 1) * constant) % WORD) for i, x in enumerate(numbers)) % WORD)


def bits(x):
    """Return the bits of a float32 as an integer; those of 0 for −0."""
    return int.from_bytes(struct.pack("<f", x + 0.0), "little")


class Hashed:
    def __init__(self, rows):
        self.rows, self.owner, self.collisions = rows, {}, 0

    def enter(self, numbers):
        """Return the row of a state, a tuple of integers."""
        first = digest(numbers, 0x9E3779B9) % self.rows
        for probe in range(min(8, self.rows)):
            row = (first + probe) % self.rows
            if self.owner.setdefault(row, numbers) == numbers:
                return row
        self.collisions += 1
        return first
