"""Logs of a run beside `metrics.jsonl`: one class for each, in a file of its own."""

from rl3_jax.run.logs.session import LOGS, Session, log_problems

__all__ = ["LOGS", "Session", "log_problems"]
