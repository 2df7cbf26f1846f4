"""The catalogues that batches ran under: those of the recorded topic, and that of the settings."""

from collections.abc import Collection
from typing import Final

from forestay.catalogues.record import read_catalogue, read_record
from forestay.configuration import Configuration
from forestay.core.decision.catalogue import Catalogue
from forestay.core.errors import ConfigurationError
from forestay.rerun.reading import Rows

#: Catalogues kept as objects: batches in a row mostly ran under one.
_KEPT: Final = 4


class Catalogues:
    """Catalogues by version, and what would be their configurations' digests."""

    def __init__(self, recordings: Rows, topic: str, configuration: Configuration) -> None:
        """Reads all of the topic that was recorded; a record no worker could work with is passed over."""
        self._own = configuration.catalogue
        self._own_version = self._own.digest()
        self.digests = {configuration.digest}
        self._texts: dict[str, str] = {}
        self._objects: dict[str, Catalogue] = {}
        for row in recordings.rows([topic]) if topic in recordings.topics else ():
            try:
                text = read_record(row.value).catalogue
                catalogue = read_catalogue(text)
            except ConfigurationError:
                continue
            self._texts[catalogue.digest()] = text
            self.digests.add(configuration.under(catalogue).digest)

    def get(self, version: str | None) -> Catalogue | None:
        """Returns the catalogue of a version, None if neither the settings nor the recordings have it."""
        if version is None or version == self._own_version:
            return None if version is None else self._own
        if version not in self._objects and version in self._texts:
            if len(self._objects) == _KEPT:
                del self._objects[next(iter(self._objects))]
            self._objects[version] = read_catalogue(self._texts[version])
        return self._objects.get(version)

    def among(self, versions: Collection[str]) -> dict[str, Catalogue]:
        """Returns those of `versions` that are there."""
        found = {version: self.get(version) for version in versions}
        return {version: catalogue for version, catalogue in found.items() if catalogue is not None}
