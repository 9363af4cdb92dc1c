"""Write the tables of docs/configuration.md and docs/metrics.md anew from the code: `python docs/generate.py`.

Each stands between `<!-- begin -->` and `<!-- end -->`; the words around them are written by hand. A test tells when they are out of date.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from mailloom.config import Secret
from mailloom.config.load import expected, settings_known
from mailloom.obs.metrics import METRICS, Metric

DOCS = Path(__file__).resolve().parent


def settings() -> str:
    lines: list[str] = []
    for table, members in groupby(settings_known(), lambda one: one.key.rpartition(".")[0]):
        lines += (
            ["", f"`[profile.NAME{'.' + table if table else ''}]`", ""] if lines or table else ["`[profile.NAME]`", ""]
        )
        lines += ["| key | takes | default | meaning | variable |", "|---|---|---|---|---|"]
        for one in members:
            default = '""' if isinstance(one.default, Secret) or one.default == "" else str(one.default)
            default = default.lower() if isinstance(one.default, bool) else default
            also = f" (else `{one.says.also}`)" if one.says.also else ""
            name = one.key.rpartition(".")[2]
            lines.append(f"| {name} | {expected(one)} | `{default}` | {one.says.meaning} | `{one.variable}`{also} |")
    return "\n".join(lines)


def metrics() -> str:
    rows = (f"| {one.name} | {one.kind} | {one.unit} | {dimensions(one)} | {one.meaning} |" for one in METRICS)
    return "\n".join(["| name | kind | unit | dimensions | meaning |", "|---|---|---|---|---|", *rows])


def dimensions(metric: Metric) -> str:
    whole = ", ".join(metric.dimensions) or "-"
    return "; ".join([whole, *(f"also {', '.join(some)}" for some in metric.also)])


def renewed(page: str, table: str) -> str:
    """The page with the table between its marks."""
    before, begin, rest = page.partition("<!-- begin -->\n")
    _, end, after = rest.partition("<!-- end -->")
    if not (begin and end):
        raise ValueError("the page has no marks")
    return f"{before}{begin}\n{table}\n\n{end}{after}"


PAGES = {"configuration.md": settings, "metrics.md": metrics}

if __name__ == "__main__":
    for name, table in PAGES.items():
        path = DOCS / name
        path.write_text(renewed(path.read_text("utf-8"), table()), "utf-8")
