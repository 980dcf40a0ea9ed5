"""Where the programs of our own that run beside Python are found: the practice gateway and the guardian."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from app.errors import ProgramMissing

ROOT = Path(__file__).resolve().parents[2]


def find(name: str, variable: str, variables: Mapping[str, str] = os.environ, root: Path = ROOT) -> Path:
    """The program `name`: what `variable` names, then the one shipped in resources/bin, then a build of this tree.

    Raises ProgramMissing, which names every place.
    """
    if named := variables.get(variable):
        if os.access(named, os.X_OK):
            return Path(named)
        raise ProgramMissing(f"{variable} is {named!r}, which is no program that can be started.")
    file = f"{name}.exe" if sys.platform == "win32" else name
    target = root / "native" / "target"
    places = [root / "resources" / "bin" / file, target / "release" / file, target / "debug" / file]
    for place in places:
        if os.access(place, os.X_OK):
            return place
    looked = ", ".join(str(place) for place in places)
    raise ProgramMissing(f"{name} was not found. Looked for: {looked}. Set {variable}.")
