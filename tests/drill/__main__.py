"""`./dev drill kill`: press the kill switch while something is broken; exit 0 when each case is flat in two seconds."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.drill import kill


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev drill", description=__doc__)
    names = parser.add_subparsers(dest="name", required=True)
    one = names.add_parser("kill", help="60 orders, gateway latency 100 ms: from the press to the last cancel taken")
    known = [case.name for case in kill.CASES]
    one.add_argument("--case", action="append", choices=known, default=[], help="only this one; may be repeated")
    one.add_argument("--repeats", type=int, default=3, help="presses of each case (default 3); the worst is reported")
    one.add_argument("--orders", type=int, default=60, help="working orders (default 60)")
    one.add_argument("--json", type=Path, help="also write the answer to this file")
    options = parser.parse_args()
    rows, holds = kill.run(options.case, repeats=options.repeats, orders=options.orders)
    text = json.dumps(rows, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
