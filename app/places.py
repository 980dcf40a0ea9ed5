"""Where the program's files live. Nothing heavy is imported here: the kill switch starts by it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import platformdirs

PROGRAM = "pitdesk"
ENVIRONMENT_PREFIX = "PITDESK_"


@dataclass(frozen=True)
class Directories:
    """Where the program's files live. `base` is the engine's base directory: lock, control socket, journal, app.db."""

    base: Path
    config: Path
    log: Path
    crash: Path
    practice: Path

    @classmethod
    def under(cls, base: Path) -> Self:
        """Everything below one directory: portable use, and each test by itself."""
        return cls(
            base=base, config=base / "config", log=base / "log", crash=base / "crash", practice=base / "practice"
        )

    @classmethod
    def of_user(cls) -> Self:
        found = platformdirs.PlatformDirs(PROGRAM, appauthor=False)
        data, state = Path(found.user_data_dir), Path(found.user_state_dir)
        return cls(
            base=data,
            config=Path(found.user_config_dir),
            log=state / "log",
            crash=state / "crash",
            practice=data / "practice",
        )

    def create(self) -> None:
        for directory in (self.base, self.config, self.log, self.crash, self.practice):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def directories(base: str | Path | None, environment: Mapping[str, str] | None = None) -> Directories:
    """Choose by `--basedir`, then `PITDESK_BASEDIR`, then the system's own places."""
    chosen = base or (os.environ if environment is None else environment).get(f"{ENVIRONMENT_PREFIX}BASEDIR")
    return Directories.under(Path(chosen).expanduser().resolve()) if chosen else Directories.of_user()
