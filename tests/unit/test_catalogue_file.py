"""The catalogue's file: what is wrong with it is said where it stands, and that it fits what else is set."""

from pathlib import Path

import pytest

from forestay.configuration import load_configuration
from forestay.core.errors import ConfigurationError
from forestay.settings import EngineSettings, Settings

SHOP = """\
name: shop
offers:
  - {id: a, kind: message, channel: email, effect: 0.1, cooldown_days: 300}
"""


@pytest.mark.parametrize(("idle", "works"), [(479, False), (480, True)])
def test_no_user_is_forgotten_whose_contacts_still_count(tmp_path: Path, idle: float, works: bool) -> None:
    """300 days of cooldown after a contact in the last silence, which is 180 days after the last event."""
    file = tmp_path / "catalogue.yaml"
    file.write_text(SHOP)
    settings = Settings(catalogue=file, engine=EngineSettings(idle_days=idle))
    if works:
        assert load_configuration(settings).catalogue.name == "shop"
    else:
        with pytest.raises(ConfigurationError, match=r"set engine\.idle_days to 480 at least"):
            load_configuration(settings)
