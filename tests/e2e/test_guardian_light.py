"""The guardian's light at the real window, over a real guardian that is really killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

pytest.importorskip("trading_bot_core", reason="the extension is not built")

from app.errors import ProgramMissing
from app.services import guardian
from tests.e2e.person import Person, Play

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def _a_guardian_is_built() -> None:
    try:
        guardian.find_program()
    except ProgramMissing as error:
        pytest.skip(error.text)


def light(person: Person) -> str:
    return next((cell for cell in person.run.window.status.shown_text().split(" | ") if "Guardian" in cell), "")


async def kills_the_guardian(person: Person) -> None:
    process = person.run._guardian
    assert process is not None, "one was started"
    os.kill(process.pid, signal.SIGKILL)
    await person.sees(lambda: not process.is_running(), "the guardian dead")


def test_the_light_tells_of_a_guardian_that_died_and_of_the_one_that_follows(play: Play, hello: Path) -> None:
    async def scene(person: Person) -> None:
        await person.is_ready()
        await person.sees(lambda: light(person) == "Guardian watching", "a guardian that watches")
        first = person.run._guardian
        await kills_the_guardian(person)
        await person.sees(lambda: person.run._guardian is not first, "another one started")
        await person.sees(lambda: light(person) == "Guardian watching", "a guardian that watches again")
        assert any("ended by itself" in text for text in person.desk.messages.texts())
        person.run._guardians_left = 0
        await kills_the_guardian(person)
        await person.sees(lambda: light(person) == "Guardian absent", "the light of no guardian")
        assert person.run.window.status.tip_at(0).startswith("Market")
        await person.closes_the_window()

    assert play(scene, "--attach", str(hello)) == 0
