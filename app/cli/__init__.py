"""`pitdesk …`: every capability without the window.

    program     main, options, what runs without an engine
    reading     the parser and the words that every command shares
    viewing     commands that only look          ┐ each a `Command`: its arguments, what is wrong with them before
    ordering    commands that send orders        │ anybody is asked, and what it does at a desk
    managing    changes, cancels, closes         ┘
    saving      commands on the app store: exit templates
    connecting  the desk: a running window's engine, or one of our own
    answering   tables, JSON, exit codes

A command goes to the engine that holds the base directory, over its control socket; when nobody holds it, it runs an
engine of its own, reconciles, acts and ends (decision 2). Exit codes:

    0 done   2 usage   3 denied here   4 refused there   5 unknown   6 not connected   7 busy   70 fault

With `--json` there is one JSON object on standard output, for errors as well.
"""

from app.cli.answering import exit_code
from app.cli.program import INTERRUPTED, main

__all__ = ["INTERRUPTED", "exit_code", "main"]
