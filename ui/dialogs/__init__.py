"""Dialogs, always opened with `open()`, never with a nested loop."""
