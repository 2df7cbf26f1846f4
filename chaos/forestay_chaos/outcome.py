"""What a run came to."""

from dataclasses import asdict, dataclass, field
from typing import Any

from forestay_chaos.scenario import Scenario
from forestay_chaos.verdict import Verdict


@dataclass
class Outcome:
    """A run's verdict, and what the harness saw.

    `stuck`: what had not come to its end in time. `recorder`: what differs between a recording and its topics.
    `replay`: how the run, made again by its ledger, differs from what it was.
    `unclean`: workers that did not end in order when asked. `unasked`: workers that ended by themselves and were
    started again, which is their way to stop the line. `recoveries`: seconds after SIGKILL and after SIGTERM.
    """

    scenario: Scenario
    seconds: float = 0.0
    verdict: Verdict | None = None
    stuck: str = ""
    recorder: list[str] = field(default_factory=list)
    replay: str = ""
    unclean: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    recoveries: dict[str, list[float]] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Says whether everything that must be so is."""
        judged = self.verdict is not None and self.verdict.clean
        return judged and not self.stuck and not self.recorder and not self.replay and not self.unclean

    def findings(self) -> list[str]:
        """Returns what is wrong, in words."""
        found = [f"stuck: {self.stuck}"] if self.stuck else []
        found += [f"replay: {self.replay}"] if self.replay else []
        found += [f"recorder: {text}" for text in self.recorder] + [f"unclean: {text}" for text in self.unclean]
        return found + (self.verdict.findings if self.verdict else [])

    def as_json(self) -> dict[str, Any]:
        """Returns all of it as JSON has it."""
        return asdict(self) | {"good": self.good}
