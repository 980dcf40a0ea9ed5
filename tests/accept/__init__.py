"""Acceptance runs: the promises, shown on the real programs. `./dev accept NAME [--json FILE]`."""
