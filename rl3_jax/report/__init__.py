"""Figures and tables, from result files only."""

from rl3_jax.report.compare import write_comparison

__all__ = ["write_comparison"]
