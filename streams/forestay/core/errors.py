"""The errors of Forestay.

ForestayError             the root; str() says what happened and what to do
├── DeadLetter            control: this one record goes to the dead letters, the stream goes on
├── ConfigurationError    the settings, the catalogue or the topics cannot work as they are
│   └── UsageError        a command was told what makes no sense: exit code 2
├── StateError            a state record or an offset contradicts what the core promised
└── FloodError            too many records fail: stop, before a bad deploy drains the topic
"""


class ForestayError(Exception):
    """The root of all errors Forestay raises on purpose."""


class DeadLetter(ForestayError):  # noqa: N818 - control flow, not a fault
    """A record that fails its contract; `code` is for machines, the message for people."""

    def __init__(self, code: str, reason: str) -> None:
        """Keeps the code beside the reason."""
        super().__init__(reason)
        self.code = code


class ConfigurationError(ForestayError):
    """The settings, the catalogue or the topics cannot work as they are."""


class UsageError(ConfigurationError):
    """A flag or argument of a command makes no sense, whatever the settings and files are."""


class StateError(ForestayError):
    """A state record or an offset contradicts what the core promised."""


class FloodError(ForestayError):
    """So many records fail their contract that the upstream must be broken, not the records."""
