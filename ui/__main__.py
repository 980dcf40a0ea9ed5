"""`python -m ui`: the window."""

from ui.application import main

if __name__ == "__main__":
    raise SystemExit(main())
