"""What all groups of settings have in common."""

from pydantic import BaseModel, ConfigDict


class Group(BaseModel):
    """A group of settings: nothing else may stand in it, and nothing changes it."""

    # An error may name a setting, never show its value: it may be a password.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
