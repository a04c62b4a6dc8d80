"""Put the results of benchmarks into README.md here, each as a table with its machine.

    python benchmarks/write_readme.py peers.json cores.json throughput.json

A table stands between the marks `<!-- NAME -->` and `<!-- /NAME -->`, NAME being the file's `benchmark`,
or what is given before the file: `long-trials=throughput.json`. Files with commas between them make one
table, if they are of one benchmark on one machine: `returns=gru.json,mingru.json`.
"""

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

from common import markdown

README = Path(__file__).with_name("README.md")
APART = {"results", "processor_share"}
"""What may differ between result files of one table."""


def main() -> None:
    """Read result files, and change the page."""
    page = README.read_text()
    for argument in sys.argv[1:]:
        name, _, paths = argument.rpartition("=")
        report = joined({path: json.loads(Path(path).read_text()) for path in paths.split(",")})
        page = insert(page, name or report["benchmark"], section(report))
    README.write_text(page)


def joined(reports: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return result files, by path, as one: all results, and the least of the processor's shares.

    What else they say, such as the machine, holds for the whole table, so it must be the same in all.
    """
    (first, report), *others = reports.items()
    for path, other in others:
        keys = (report.keys() | other.keys()) - APART
        if differing := sorted(key for key in keys if report.get(key) != other.get(key)):
            raise SystemExit(f"{first} and {path} make no table together: {', '.join(differing)} differ")
    every = list(reports.values())
    shares = [each["processor_share"] for each in every if "processor_share" in each]
    share = {"processor_share": min(shares)} if len(shares) == len(every) else {}
    same = {key: value for key, value in report.items() if key not in APART}
    results = [result for each in every for result in each["results"]]
    return same | share | {"files": len(every), "results": results}


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
        bound = "at least " if report["files"] > 1 else ""
        parts.append(f"the programs had {bound}{100 * report['processor_share']:.0f} % of the core")
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
