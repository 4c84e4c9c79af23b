# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what docs/benchmarks.md promises: prints a table, writes build/bench.json.

make bench                  all subjects
make bench ONLY=makespan    one of them
"""

from __future__ import annotations

import argparse
import compileall
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from ansible_collections.immutable.fleet.tests.benchmarks import (
    bake,
    calls,
    deciding,
    drain,
    forecast,
    foreseen,
    kubernetes_roll,
    makespan,
    memory,
    noop,
    sight,
    startup,
    vsphere,
)
from ansible_collections.immutable.fleet.tests.benchmarks.figures import Figure, Skipped

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "build/bench.json"

# In this order. A subject yields its figures as soon as it has them.
SUBJECTS: dict[str, Callable[[], Iterator[Figure]]] = {
    "makespan": makespan.measure,
    "decide": deciding.measure,
    "forecast": forecast.measure,
    "memory": memory.measure,
    "startup": startup.measure,
    "sight": sight.measure,
    "roll": kubernetes_roll.measure,
    "reaction": kubernetes_roll.measure_reaction,
    "drain": drain.measure,
    "calls": calls.measure,
    "noop": noop.measure,
    "foreseen": foreseen.measure,
    "vsphere": vsphere.measure,
    "bake": bake.measure,
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("only", nargs="*", metavar="NAME", help=f"any of {', '.join(SUBJECTS)}; all where none is named")
    only = arguments.parse_args().only
    if unknown := [name for name in only if name not in SUBJECTS]:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are: {', '.join(SUBJECTS)}")
    # What a first run leaves behind, also where the environment forbids it to: what is compared with was compiled by pip.
    compileall.compile_dir(ROOT / "plugins", quiet=1)
    figures, failed = [], []
    for name in only or SUBJECTS:
        began = time.monotonic()
        try:
            for figure in SUBJECTS[name]():
                figures.append(figure)
                print(_line(name, figure), flush=True)
        except Skipped as exc:
            print(f"{name:<9}  skipped: {exc}", flush=True)
        except Exception:  # noqa: BLE001  # the others are measured all the same
            traceback.print_exc()
            failed.append(name)
        print(f"{name:<9}  measured in {time.monotonic() - began:.0f} s", flush=True)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps([figure.as_row() for figure in figures], indent=1) + "\n", encoding="utf-8")
    missed = [figure.name for figure in figures if figure.holds is False]
    print(f"\n{RESULTS}: {len(figures)} figures", *(f"missed: {name}" for name in missed), sep="\n")
    if missed or failed:
        sys.exit(1)


def _line(subject: str, figure: Figure) -> str:
    value = f"{figure.value:,.0f}" if figure.value >= 1000 else f"{figure.value:.4g}"
    goal = "" if figure.goal is None else f"<= {figure.goal:g} {'holds' if figure.holds else 'MISSED'}"
    return f"{subject:<9}  {figure.name:<72}  {value:>8} {figure.unit:<6}  {goal}".rstrip()


if __name__ == "__main__":
    main()
