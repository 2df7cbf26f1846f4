"""What drift is watched against."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from forestay.core.watch.learning import MOST_ROWS
from forestay.core.watch.reference import LEAST_ROWS
from forestay.settings.group import Group


class WatchSettings(Group):
    """The watch on drift, broken fields and returns (docs/watch.md)."""

    enabled: bool = Field(default=True, description="off: nothing is counted for it")
    reference: Path | None = Field(
        default=None, description="file of `forestay watch --write-reference`; none: the model's own, if it has one"
    )
    first_rows: int = Field(
        default=0,
        ge=0,
        le=MOST_ROWS,
        description="scores, one a user and day, that are the reference where none is; 0: off",
    )

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if 0 < self.first_rows < LEAST_ROWS:
            raise ValueError(f"first_rows: {LEAST_ROWS} are the least that make a reference")
        return self
