"""Addresses of services, fit to be told to people and logs."""

import re
from typing import Final

#: User and password before the host; a password may hold an @ of its own.
_CREDENTIALS: Final = re.compile(r"(?<=://)[^\s/'\"]*@")
_IN_QUERY: Final = re.compile(r"(?i)\b(password|passwd|pwd|token|secret|access_key|api_key)=[^\s&'\"]+")


def without_secrets(text: object) -> str:
    """Returns a text, an error's for instance, without users and passwords in the addresses it holds."""
    return _IN_QUERY.sub(r"\1=...", _CREDENTIALS.sub("", str(text)))
