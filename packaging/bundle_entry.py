"""The one program of the bundle: the window without arguments or with `run`, the command line otherwise."""

import multiprocessing
import sys


def main() -> int:
    """Hand over to the window or to the command line; returns the exit code."""
    multiprocessing.freeze_support()
    arguments = sys.argv[1:]
    if not arguments or arguments[0] == "run":
        from ui.application import main as open_window

        return open_window(arguments[1:])
    from app.cli import main as command_line

    return command_line(arguments)


if __name__ == "__main__":
    sys.exit(main())
