"""Put the results of benchmarks into README.md here, each as a table with its machine.

    python benchmarks/write_readme.py peers.json cores.json throughput.json

A table stands between the marks `<!-- NAME -->` and `<!-- /NAME -->`, NAME being the file's `benchmark`,
or what is given before the file: `long-trials=throughput.json`.
"""

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

from common import markdown

README = Path(__file__).with_name("README.md")


def main() -> None:
    """Read result files, and change the page."""
    page = README.read_text()
    for argument in sys.argv[1:]:
        name, _, path = argument.rpartition("=")
        report = json.loads(Path(path).read_text())
        page = insert(page, name or report["benchmark"], section(report))
    README.write_text(page)


def section(report: dict[str, Any]) -> str:
    """Return the machine and the table of a result file, without columns that are empty."""
    columns = importlib.import_module(report["benchmark"]).COLUMNS
    results = report["results"]
    used = {key: title for key, title in columns.items() if any(key in result for result in results)}
    return f"{described(report)}\n\n{markdown(results, used)}"


def described(report: dict[str, Any]) -> str:
    """Return the machine and what was asked for, as a sentence each."""
    device, versions = report["device"], report["versions"]
    where = report["processor"] if device["platform"] == "cpu" else f"{device['count']} × {device['kind']}"
    cores = "one core" if report["cores"] == 1 else f"{report['cores']} cores"
    parts = [f"{where}, {cores}, jax {versions['jax']}, Python {versions['python']}"]
    if "matmul_gflops" in report:
        parts.append(f"the ceiling is {report['matmul_gflops']} GFLOP/s")
        parts.append(f"{report['iterations']} iterations of {_listed(report['setting'])}")
    if device["platform"] == "cpu" and report["cores"] == 1 and "processor_share" in report:
        parts.append(f"the programs had {100 * report['processor_share']:.0f} % of the core")
    parts += [_listed(report["options"])] if report.get("options") else []
    return "; ".join(part for part in parts if part) + "."


def _listed(options: dict[str, Any]) -> str:
    """Return options that are set, as text."""
    texts = {
        name: " ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in options.items()
        if value not in ([], None)
    }
    return ", ".join(f"{name} {value}" for name, value in texts.items())


def insert(page: str, name: str, text: str) -> str:
    """Return the page with what stands between two marks replaced."""
    pattern = re.compile(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(page):
        raise SystemExit(f"{README.name} has no marks <!-- {name} --> and <!-- /{name} -->")
    return pattern.sub(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", page)


if __name__ == "__main__":
    main()
