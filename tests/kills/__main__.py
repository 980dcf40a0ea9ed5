"""`./dev sim --kills N [--json FILE]`: kill the trader N times, print the answer, exit 0 when nothing was lost."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.kills import harness


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev sim", description=__doc__)
    parser.add_argument("--kills", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2, help="exchanges side by side")
    parser.add_argument("--json", type=Path, help="also write the answer to this file")
    told = parser.parse_args()
    harness.build()
    tally = harness.run(told.kills, told.seed, told.workers)
    text = json.dumps(tally.report(), indent=2)
    print(text)
    if told.json:
        told.json.write_text(text + "\n", encoding="utf-8")
    for fault in tally.faults:
        print(fault, file=sys.stderr)
    return 0 if tally.holds else 1


if __name__ == "__main__":
    sys.exit(main())
