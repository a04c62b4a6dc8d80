"""Slow NumPy twins, written from the design page and the papers, never from the JAX code."""
