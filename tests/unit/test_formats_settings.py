"""The settings of value formats, and the extra they need."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from forestay.formats import decoder_of
from forestay.settings import FormatSettings


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"clickstream": "avro"}, "avro values need registry_url"),
        ({"clickstream": "xml"}, "json"),
        ({"registry_url": "127.0.0.1:8081"}, "http://host:port"),
        ({"registry_url": "ftp://127.0.0.1"}, "http://host:port"),
        ({"registry_url": "http://"}, "http://host:port"),
        ({"registry_url": "http://user:secret@127.0.0.1"}, "registry_password"),
        ({"registry_url": "http://127.0.0.1/?a=b"}, "no ?"),
        ({"registry_username": "shop"}, "set together"),
        ({"registry_timeout_seconds": 0}, "greater than 0"),
    ],
)
def test_what_cannot_work_is_refused(given: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        FormatSettings.model_validate(given)
    assert reason in str(caught.value)


def test_json_needs_no_registry() -> None:
    assert FormatSettings().clickstream == "json"


@pytest.mark.parametrize(("name", "kind"), [("avro", "AVRO"), ("protobuf", "PROTOBUF")])
def test_a_decoder_is_made_by_its_name(name: str, kind: str) -> None:
    assert decoder_of(name).kind == kind  # type: ignore[arg-type]


def test_without_the_extra_it_is_named() -> None:
    """In a process of its own, where importing what only the extra brings is an error."""
    program = (
        "import sys; sys.modules['fastavro'] = None\n"
        "from forestay.core.errors import ConfigurationError\n"
        "from forestay.formats import decoder_of\n"
        "try: decoder_of('avro')\n"
        "except ConfigurationError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install 'forestay[registry]'" in done.stdout
