"""Drills: what must work when something else does not. `./dev drill kill [--json FILE]`."""
