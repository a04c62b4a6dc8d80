"""One figure and one table that set agents beside each other and beside baselines."""

from pathlib import Path
from typing import Any

from rl3_jax.report.figures import comparison_figure
from rl3_jax.report.tables import comparison_table


def write_comparison(
    runs: list[dict[str, Any]], baselines: list[dict[str, Any]], header: dict[str, Any], out: Path
) -> tuple[Path, Path]:
    """Write `comparison.png` and `comparison.md` into `out`.

    Args:
      runs: one mapping an agent: `name`; `result`, its entry of a result file; `metrics`, the lines
        of its `metrics.jsonl`.
      baselines: entries of a result file, from the same held-out tasks.
      header: what the results have in common, the fields of a result file beside `results`.
      out: folder, made if it is missing.

    Returns:
      The paths of the figure and of the table.
    """
    out.mkdir(parents=True, exist_ok=True)
    figure, table = out / "comparison.png", out / "comparison.md"
    comparison_figure(runs, baselines, header, figure)
    table.write_text(comparison_table(runs, baselines, header), encoding="utf-8")
    return figure, table
