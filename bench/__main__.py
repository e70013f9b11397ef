"""``python -m bench [NAME]``: runs the benchmarks, or one, and prints one JSON object a line for each.

``value`` is the median of ``runs``. For copies ``warm`` and ``warm_runs`` say the same of a process that has copied
before; see :mod:`bench.copying`.
"""

import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass

from bench import copying
from bench.copying import Ratios
from bench.decisions import decision_vs_policies
from bench.evaluator import evaluator_vs_loop
from bench.gateway import gateway_vs_bare
from bench.history import decision_vs_history
from bench.peers import LeftOutError
from bench.replay import replay_vs_read


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One number: how it is measured, what it is compared with, and what it should be."""

    run: Callable[[int], list[float] | Ratios]
    target: float
    unit: str
    peer: str


RUNS = 5
BENCHMARKS = {
    "evaluator_vs_loop": Benchmark(evaluator_vs_loop, 0.75, "ratio", "a hand-written aiokafka loop (at least)"),
    "decision_vs_policies": Benchmark(decision_vs_policies, 1.2, "ratio", "a decision with 10 policies (at most)"),
    "decision_vs_history": Benchmark(decision_vs_history, 1.2, "ratio", "a decision after 1,000 events (at most)"),
    "replay_vs_read": Benchmark(replay_vs_read, 0.5, "ratio", "aiokafka getmany and orjson.loads (at least)"),
    "gateway_vs_bare": Benchmark(gateway_vs_bare, 0.5, "ratio", "uvicorn + aiokafka (at least)"),
    "copy_cold_vs_skopeo": Benchmark(copying.copy_cold_vs_skopeo, 2.0, "ratio", "skopeo sync (at least)"),
    "copy_cold_vs_crane": Benchmark(copying.copy_cold_vs_crane, 0.9, "ratio", "crane cp -a (at least)"),
    "promote_vs_skopeo": Benchmark(copying.promote_vs_skopeo, 5.0, "ratio", "skopeo sync (at least)"),
    "promote_vs_crane": Benchmark(copying.promote_vs_crane, 1.0, "ratio", "crane cp -a (at least)"),
    "recopy_vs_skopeo": Benchmark(copying.recopy_vs_skopeo, 4.0, "ratio", "skopeo sync (at least)"),
    "recopy_vs_crane": Benchmark(copying.recopy_vs_crane, 1.0, "ratio", "crane cp -a (at least)"),
    "blob_vs_crane": Benchmark(copying.blob_vs_crane, 0.95, "ratio", "crane cp -a (at least)"),
    "blob_memory_mib": Benchmark(copying.blob_memory_mib, 150, "MiB", "a layer of 1 GiB (at most)"),
}


def main() -> int:
    names = sys.argv[1:] or list(BENCHMARKS)
    for name in names:
        benchmark = BENCHMARKS.get(name)
        if benchmark is None:
            sys.stderr.write(f"no benchmark {name!r}; there are: {', '.join(BENCHMARKS)}\n")
            return 2
        try:
            measured = benchmark.run(RUNS)
        except LeftOutError as error:
            print(json.dumps({"bench": name, "left_out": str(error)}), flush=True)
            continue
        runs = measured.runs if isinstance(measured, Ratios) else measured
        line = {
            "bench": name,
            "value": _median(runs),
            "target": benchmark.target,
            "unit": benchmark.unit,
            "peer": benchmark.peer,
            "runs": _rounded(runs),
        }
        if isinstance(measured, Ratios):
            line |= {"warm": _median(measured.warm), "warm_runs": _rounded(measured.warm)}
        print(json.dumps(line), flush=True)
    return 0


def _median(runs: list[float]) -> float:
    return round(statistics.median(runs), 3)


def _rounded(runs: list[float]) -> list[float]:
    return [round(value, 3) for value in runs]


if __name__ == "__main__":
    sys.exit(main())
