"""A user's contacts in the state record (`docs/state.md`): when and what, then, of each, channel and kind."""

from forestay.core.packing import RecordReader, RecordWriter
from forestay.core.state.contact import MAX_CONTACTS, Contact


def write_contacts(writer: RecordWriter, contacts: list[Contact], latest: int) -> None:
    """Writes moments, as distances from `latest` (milliseconds), and offers, as they always were."""
    writer.number(len(contacts))
    for contact in contacts:
        writer.number(latest - contact.ts)
        writer.text(contact.offer_id)


def are_told_apart(contacts: list[Contact]) -> bool:
    """Says whether kind or channel of any contact is known."""
    return any(contact.channel or contact.kind or not contact.marketing for contact in contacts)


def write_sorts(writer: RecordWriter, contacts: list[Contact]) -> None:
    """Writes each sort of contact (channel, kind, marketing or not) once, then the number of each contact's sort."""
    sorts: list[tuple[str, str, bool]] = []
    numbers: list[int] = []
    for contact in contacts:
        sort = (contact.channel, contact.kind, contact.marketing)
        if sort not in sorts:
            sorts.append(sort)
        numbers.append(sorts.index(sort))
    writer.number(len(sorts))
    for channel, kind, marketing in sorts:
        writer.text(channel)
        writer.text(kind)
        writer.number(1 if marketing else 0)
    for number in numbers:
        writer.number(number)


def read_contacts(reader: RecordReader, latest: int) -> list[Contact]:
    """Reads what `write_contacts` wrote.

    Raises:
        StateError: it is no such thing.
    """
    contacts: list[Contact] = []
    for _ in range(reader.count(MAX_CONTACTS)):
        ts = reader.moment(latest)
        contacts.append(Contact(ts, reader.text()))
    return contacts


def read_sorts(reader: RecordReader, contacts: list[Contact]) -> None:
    """Reads what `write_sorts` wrote into the contacts read before; StateError as for `read_contacts`."""
    sorts: list[tuple[str, str, bool]] = []
    for _ in range(reader.count(MAX_CONTACTS)):
        channel, kind = reader.text(), reader.text()
        sorts.append((channel, kind, reader.count(1) == 1))
    for contact in contacts:
        # Without any sort -1 is the most, and every number is refused.
        contact.channel, contact.kind, contact.marketing = sorts[reader.count(len(sorts) - 1)]
