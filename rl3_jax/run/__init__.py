"""The shell: what touches disk, clock and signals around the compiled training."""
