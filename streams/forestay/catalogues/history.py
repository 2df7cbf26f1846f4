"""Which catalogue counts, told from the topic's records alone: every reader comes to the same, whenever it began."""

from collections.abc import Callable
from typing import NamedTuple

from forestay.catalogues.record import read_catalogue, read_record
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.succession import Meanings
from forestay.core.errors import ConfigurationError
from forestay_schemas import CatalogueRecord


class Entry(NamedTuple):
    """One record of the topic: what it says but for the catalogue itself, and why it is not worked with, if so.

    `record` is None where it cannot be read. `version` is what this version of Forestay calls the catalogue.
    """

    offset: int
    record: CatalogueRecord | None
    version: str | None
    refused: str | None


class History:
    """The records of the topic in their order.

    A record that can be read and follows the newest such one is a revision. A revision whose catalogue can work, and
    may take the place of those before it, is worked with; of others the one before stays.
    """

    def __init__(self, check: Callable[[Catalogue], None] = lambda _catalogue: None) -> None:
        """`check` raises ConfigurationError where a catalogue cannot work with the settings."""
        self.entries: list[Entry] = []
        #: The newest revision's number, 0 before the first.
        self.revision = 0
        #: The newest that can be worked with.
        self.current: Catalogue | None = None
        self._check = check
        self._meanings = Meanings()
        #: Catalogues as JSON, by version: objects take ten times as much.
        self._texts: dict[str, str] = {}

    def take(self, offset: int, value: bytes | None) -> Entry:
        """Takes the next record; returns what it is."""
        record: CatalogueRecord | None = None
        version: str | None = None
        refused: str | None = None
        try:
            record = read_record(value)
            self._follow(record)
            version = self._work_with(record.catalogue)
        except ConfigurationError as error:
            refused = str(error)
        told = None if record is None else record.model_copy(update={"catalogue": ""})
        self.entries.append(Entry(offset, told, version, refused))
        return self.entries[-1]

    def catalogue(self, version: str) -> Catalogue | None:
        """Returns the catalogue of that version, None if none was worked with."""
        text = self._texts.get(version)
        return None if text is None else read_catalogue(text)

    def check(self, catalogue: Catalogue) -> None:
        """Makes sure that `catalogue` would be worked with as the next revision.

        Raises:
            ConfigurationError: it cannot work, or cannot take the place of those before it.
        """
        self._check(catalogue)
        self._meanings.check(catalogue)

    def _follow(self, record: CatalogueRecord) -> None:
        if self.revision and record.revision != self.revision + 1:
            raise ConfigurationError(
                f"it was made to follow revision {record.revision - 1}, and {self.revision} was there before it"
            )
        self.revision = record.revision

    def _work_with(self, text: str) -> str:
        catalogue = read_catalogue(text)
        self.check(catalogue)
        self.current = catalogue
        self._meanings.take(catalogue)
        version = catalogue.digest()
        self._texts[version] = text
        return version
