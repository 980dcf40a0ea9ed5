"""`pitdesk …`: every capability without the window.

    program     main, options, what runs without an engine
    reading     the parser and the words that every command shares
    viewing     commands that only look          ┐ each a `Command`: its arguments, what is wrong with them before
    ordering    commands that send orders        │ anybody is asked, and what it does at a desk
    managing    changes, cancels, closes         ┘
    saving      commands on the app store: exit templates
    connecting  the desk: a running window's engine, or one of our own
    answering   tables, JSON, exit codes
    switch      the kill switch as far as a guardian is there: first, and without any of the others
    killing     the kill switch when there is none

A command goes to the engine that holds the base directory, over its control socket; when nobody holds it, it runs an
engine of its own, reconciles, acts and ends (decision 2). Exit codes:

    0 done   2 usage   3 denied here   4 refused there   5 unknown   6 not connected   7 busy   70 fault

With `--json` there is one JSON object on standard output, for errors as well.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from app.cli import switch


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if (code := switch.press(words)) is not None:
        return code
    # Behind the switch: the program's imports take longer than the whole kill.
    from app.cli import program

    return program.main(words)
