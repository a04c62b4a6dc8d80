"""Faults of a disk, below Python: `injector.c` makes one file operation fail, `drive.py` each in turn."""
