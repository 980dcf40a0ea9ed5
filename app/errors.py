# ruff: noqa: N818 -- the names say what happened; "Error" behind each would add nothing
"""Every exception of `app`, and where each one ends.

    PitdeskError                     one plain sentence for people in `text`; never a secret
    ├── InvalidOption                an option's value is not allowed (name, value, allowed)
    ├── InvalidRules                 a rule pack cannot be used (file, field, value, allowed)
    ├── InvalidOrder                 the user asked for something impossible (field, reason); nothing was sent
    ├── Denied                       our own gate said no (every reason); nothing was sent
    ├── BrokerRejected               the world said no (code, text, tag)
    ├── OutcomeUnknown               the world did not answer; the order may be live (tag)
    ├── NotConnected                 no session, or it broke
    │   ├── CredentialsMissing       nobody could tell the API key
    │   └── GatewayUnavailable       the practice gateway was not found or did not start
    ├── EngineFault                  the engine reports a failure (kind)
    │   ├── EngineBusy               queue full, or another process holds the base directory
    │   ├── EngineHalted             only cancels and closes are taken
    │   ├── InvalidCommand           unknown account, contract, order or a value outside its range
    │   └── BuildMismatch            extension and Python files come from different builds
    ├── ProgramMissing               a program of our own was not found or does not start
    └── StoreUnavailable             the app store cannot be opened (newer schema, no server)

The command line turns each into an exit code (`app.cli`), the window into a message beside its cause.
"""

from collections.abc import Sequence


class PitdeskError(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class InvalidOption(PitdeskError):
    def __init__(self, name: str, value: object, allowed: str) -> None:
        super().__init__(f"Option {name} is {value!r}; allowed: {allowed}.")
        self.name = name
        self.value = value
        self.allowed = allowed


class InvalidRules(PitdeskError):
    def __init__(self, file: str, field: str, value: object, allowed: str) -> None:
        super().__init__(f"Rule pack {file}: {field} is {value!r}; allowed: {allowed}.")
        self.file = file
        self.field = field
        self.value = value
        self.allowed = allowed


class InvalidOrder(PitdeskError):
    """`field` names the part of the order that is wrong, so that the message can stand beside it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


class Denied(PitdeskError):
    """`reasons` are (code, sentence), all of them and not only the first."""

    def __init__(self, tag: str, reasons: Sequence[tuple[str, str]]) -> None:
        super().__init__(" ".join(sentence for _, sentence in reasons) or "The risk gate refused without a reason.")
        self.tag = tag
        self.reasons = list(reasons)


class BrokerRejected(PitdeskError):
    def __init__(self, code: str, text: str, tag: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.tag = tag


class OutcomeUnknown(PitdeskError):
    def __init__(self, text: str, tag: str = "") -> None:
        super().__init__(text)
        self.tag = tag


class NotConnected(PitdeskError):
    pass


class CredentialsMissing(NotConnected):
    pass


class GatewayUnavailable(NotConnected):
    pass


class ProgramMissing(PitdeskError):
    pass


class EngineFault(PitdeskError):
    """`kind` is one of the extension's ERROR_KINDS."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class EngineBusy(EngineFault):
    pass


class EngineHalted(EngineFault):
    pass


class InvalidCommand(EngineFault):
    pass


class BuildMismatch(EngineFault):
    pass


class StoreUnavailable(PitdeskError):
    pass
