"""Measurements against named peers in the same run: `./dev bench`. Never a test: nothing here can fail a check."""
