"""`./dev accept replay|kill`: run one acceptance, print its answer as JSON, exit 0 when it holds."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from tests.accept import kill, replay

ROOT = Path(__file__).resolve().parents[2]


def recorded_hour() -> Path:
    shared = Path(os.environ.get("PITDESK_SHARED", ROOT.parent / "shared"))
    return shared / "data" / "depth" / "es_esh4_20231225.levels.csv.gz"


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev accept", description=__doc__)
    names = parser.add_subparsers(dest="name", required=True)
    one = names.add_parser(
        "replay", help="the recorded hour through gateway, socket and engine, and a session traded in it"
    )
    one.add_argument(
        "--levels", type=Path, default=recorded_hour(), help="*.levels.csv.gz beside its trades and mbp10 files"
    )
    one.add_argument("--rate", type=float, default=60.0, help="how many times faster than recorded (default 60)")
    other = names.add_parser("kill", help="kill -9 between send and answer, then restart")
    other.add_argument("--kills", type=int, default=20)
    for each in (one, other):
        each.add_argument("--json", type=Path, help="also write the answer to this file")
    options = parser.parse_args()
    if options.name == "kill":
        answer, holds = kill.run(options.kills)
    elif not options.levels.exists():
        print(f"accept replay: skipped, no recorded hour at {options.levels}", file=sys.stderr)
        answer, holds = {"skipped": f"no file {options.levels.name}"}, True
    else:
        answer, holds = replay.run(options.levels, options.rate)
    text = json.dumps(answer, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
