"""`./dev bench [TOPIC...] [--json FILE]`: measurements beside named peers, as a table and as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.bench import ingest, orders, window
from tests.bench.report import Row, as_json, host, table

TOPICS: dict[str, Callable[[int], Iterator[Row]]] = {
    "ingest_flood": ingest.measure,
    "orders": orders.measure,
    "receive_to_painted": window.measure_painted,
    "frame_build": window.measure_painted,
    "first_paint": window.measure_first,
    "memory": window.measure_memory,
}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line; unknown topics are named together with the known ones."""
    parser = argparse.ArgumentParser(prog="./dev bench", description="Measures beside named peers in the same run.")
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=f"default: all of {', '.join(TOPICS)}")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the report here as well")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of every contender in turn")
    told = parser.parse_args(arguments)
    for topic in told.topics:
        if topic not in TOPICS:
            parser.error(f"topic {topic!r} is unknown; {', '.join(TOPICS)} are allowed")
    return told


def main(arguments: Sequence[str]) -> int:
    """Measure, print the table, write the JSON. Ends with 0 whether or not a goal is met: this is no test."""
    told = parse(arguments)
    started = host()
    rows: list[Row] = []
    # Two topics may come out of one measurement: it runs once.
    for topic in {TOPICS[topic]: topic for topic in told.topics or TOPICS}.values():
        sys.stderr.write(f"bench: {topic}\n")
        found = list(TOPICS[topic](max(1, told.rounds)))
        rows += found
        print(table(found), flush=True)
        if told.json is not None:
            report = {"host": started, "rows": [as_json(row) for row in rows]}
            told.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
