"""Changes to a model's roll-out: each is a new configuration, put in place in one step and confirmed by Triton."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from forestay.shell.scoring.rollout import Rollout
from forestay.shipping.errors import ShippingError
from forestay.shipping.figures import read_figures
from forestay.shipping.folder import ADMISSION, CARD, CONFIG, GRAPH, METRICS, ModelFolder, as_json, part, read_json
from forestay.shipping.gates.files import graph_version, reads_our_input, whole
from forestay.shipping.gates.judge import judge
from forestay.shipping.gates.verdict import Outcome, Verdict
from forestay.shipping.triton_config import merged, parameters_of, read_config


class Server(Protocol):
    """Who serves the folder."""

    def take(self, then: Rollout) -> None:
        """Makes it serve what the folder holds now.

        Raises:
            ShippingError: it does not.
        """

    def take_back(self) -> None:
        """Lets it go back to what the folder holds again; does not raise."""


class NoServer:
    """None that runs: the files alone are changed."""

    def take(self, then: Rollout) -> None:
        """See `Server.take`."""

    def take_back(self) -> None:
        """See `Server.take_back`."""


class Conditions(NamedTuple):
    """Under which a candidate that the gates do not all pass is taken nevertheless."""

    #: Why it is forced, None: it is not.
    force: str | None = None
    #: Gates that cannot be judged here are passed.
    unjudged: bool = False
    #: A training set on whose test rows the candidate and the current version are both asked.
    data: Path | None = None


class Refused(ShippingError):  # noqa: N818 - it is the gates' answer, not a fault
    """Gates refuse a candidate."""

    def __init__(self, what: str, verdicts: Sequence[Verdict]) -> None:
        """Says which gates; the verdicts say why."""
        self.verdicts = verdicts
        gates = ", ".join(one.gate for one in verdicts if one.outcome is not Outcome.PASSED)
        super().__init__(f"{what} does not pass: {gates}. Nothing was changed")


def rollout_of(folder: ModelFolder) -> Rollout:
    """Returns the roll-out in force; a folder that declares none serves its newest version.

    Raises:
        ShippingError: there is no version.
        ConfigurationError: what is declared cannot be read.
    """
    told = Rollout.of(parameters_of(read_config(folder.config)))
    if told is not None:
        return told
    there = folder.versions()
    if not there:
        raise ShippingError(f"{folder.path} holds no version")
    return Rollout(there[-1])


class Shipping:
    """Changes one model's folder; the caller holds its lock (`ModelFolder.locked`)."""

    def __init__(self, folder: ModelFolder, server: Server, conditions: Conditions) -> None:
        """`server` is told of each change of the configuration."""
        self._folder = folder
        self._server = server
        self._conditions = conditions
        self.verdicts: list[Verdict] = []

    def promote(self, what: str) -> Rollout:
        """Makes a candidate's folder, or a version by number, the current version; a trial of it ends.

        Raises:
            Refused: gates refuse it.
            ShippingError: Triton did not take it; everything is as it was.
        """
        now = rollout_of(self._folder)
        number, candidate = self._found(what)
        if number == now.current:
            raise ShippingError(f"version {number} is current already")
        self._through_gates(candidate, now.current)
        target = number or self._next()
        then = _without_trials(now, target)
        then = then._replace(current=target, before=(*now.before, now.current), former=now.current)
        return self._change("promote", now, then, candidate if number is None else None)

    def rollback(self) -> Rollout:
        """Makes the version current again that was so before; a canary ends.

        Raises:
            ShippingError: there was none before, or workers would refuse it.
        """
        now = rollout_of(self._folder)
        if not now.before:
            raise ShippingError("no version was current before this one: there is nothing to go back to")
        target = now.before[-1]
        place = self._folder.version(target)
        config, metrics = read_config(part(place, CONFIG)), read_figures(place)
        verdicts = [whole(place, config, metrics, self._folder.name), reads_our_input(config, metrics)]
        self._decide(f"version {target}", verdicts)
        then = _without_trials(_without_canary(now), target)
        then = then._replace(current=target, before=now.before[:-1], former=now.current)
        return self._change("rollback", now, then)

    def shadow(self, what: str | None) -> Rollout:
        """Lets a version score along, or none.

        Raises:
            ShippingError: it is current or the canary, cannot be served beside them, or Triton did not take it.
        """
        now = rollout_of(self._folder)
        if what is None:
            return self._change("shadow off", now, now._replace(shadow=None))
        target, candidate = self._to_try(what, now, final_only=True)
        return self._change("shadow", now, now._replace(shadow=target), candidate)

    def canary(self, what: str | None, share: float) -> Rollout:
        """Tries a version on a share of the users, or ends the trial.

        Raises:
            Refused: gates refuse it.
            ShippingError: as with `shadow`.
        """
        now = rollout_of(self._folder)
        if what is None:
            return self._change("canary off", now, _without_canary(now))
        target, candidate = self._to_try(what, now, final_only=False)
        salt = graph_version(candidate or self._folder.version(target))
        shadow = None if now.shadow == target else now.shadow
        changed = now._replace(shadow=shadow, canary=target, canary_share=share, canary_salt=salt)
        return self._change("canary", now, changed, candidate)

    # -- parts ---------------------------------------------------------------------------------------

    def _found(self, what: str) -> tuple[int | None, Path]:
        """Returns a version's number, None where a candidate's folder is named, and where it lies."""
        if what.isdecimal():
            return int(what), self._folder.version(int(what))
        if not Path(what).is_dir():
            raise ShippingError(f"{what} is neither the number of a version nor a candidate's folder")
        number = self._admitted(Path(what))
        return (None, Path(what)) if number is None else (number, self._folder.version(number))

    def _admitted(self, candidate: Path) -> int | None:
        """Returns the version that a candidate's folder has become already, None if there is none.

        A shadow that is promoted by its folder would else be a second version, and its trial go on beside itself.
        """
        for number in self._folder.versions():
            version = self._folder.version(number)
            if all(_same(candidate / name, version / name) for name in (GRAPH, CONFIG, METRICS)):
                return number
        return None

    def _to_try(self, what: str, now: Rollout, *, final_only: bool) -> tuple[int, Path | None]:
        number, candidate = self._found(what)
        if number == now.current:
            raise ShippingError(f"version {number} is current: there is nothing to compare it with")
        self._through_gates(candidate, now.current, final_only=final_only)
        return number or self._next(), None if number else candidate

    def _next(self) -> int:
        return self._folder.versions()[-1] + 1

    def _through_gates(self, candidate: Path, current: int, *, final_only: bool = False) -> None:
        verdicts = judge(candidate, self._folder.name, self._folder.version(current), self._conditions.data)
        self._decide(str(candidate), verdicts, final_only=final_only)

    def _decide(self, what: str, verdicts: list[Verdict], *, final_only: bool = False) -> None:
        """Keeps the verdicts, and raises `Refused` unless they or the conditions let the candidate in."""
        self.verdicts = verdicts
        refused = [one for one in verdicts if one.outcome is Outcome.REFUSED]
        unjudged = any(one.outcome is Outcome.UNJUDGED for one in verdicts) and not self._conditions.unjudged
        if any(one.final for one in refused):
            raise Refused(what, verdicts)
        if (refused or unjudged) and self._conditions.force is None and not final_only:
            raise Refused(what, verdicts)

    def _adopt(self, now: Rollout) -> None:
        """Lays a folder of one version out as one of many.

        It is pinned to that version before another may lie beside it: a server that polls would take the newest.
        """
        folder = self._folder
        if Rollout.of(parameters_of(read_config(folder.config))) is not None:
            return
        place = folder.version(now.current)
        for name in (CONFIG, METRICS, CARD):
            if (found := part(place, name)).is_file() and found.parent != place:
                folder.write(place / name, found.read_bytes())
        folder.write(folder.config, merged({now.current: read_config(place / CONFIG)}, now).encode())
        for name in (METRICS, CARD):
            (folder.path / name).unlink(missing_ok=True)

    def _change(self, did: str, now: Rollout, then: Rollout, candidate: Path | None = None) -> Rollout:
        """Puts a change in place; where Triton does not take it, everything is put back."""
        folder, then = self._folder, then._replace(revision=now.revision + 1)
        self._adopt(now)
        added = max(then.asked) if candidate is not None else None
        before = folder.config.read_bytes()
        try:
            if candidate is not None and added is not None:
                folder.admit(candidate, added, self._admission(did))
            folder.write(folder.config, merged(self._configs(then), then).encode())
            self._server.take(then)
        except BaseException:
            folder.write(folder.config, before)
            self._server.take_back()
            if added is not None and added in folder.versions():
                folder.remove(added)
            raise
        if candidate is None and did in ("promote", "canary") and self._conditions.force is not None:
            self._add_force(then.current if did == "promote" else then.canary)
        folder.tell({"at": _now(), "did": did, "force": self._conditions.force, **as_told(then)})
        return then

    def _configs(self, rollout: Rollout) -> Mapping[int, Any]:
        wanted = {*rollout.asked, rollout.former}
        there = [number for number in self._folder.versions() if number in wanted]
        return {number: read_config(self._folder.version(number) / CONFIG) for number in there}

    def _admission(self, did: str) -> dict[str, Any]:
        return {"at": _now(), "for": did, "forestay": version("forestay"), **self._judgement()}

    def _judgement(self) -> dict[str, Any]:
        return {"force": self._conditions.force, "gates": [one._asdict() for one in self.verdicts]}

    def _add_force(self, number: int | None) -> None:
        """Keeps with a version that was here already why gates that refused it were overruled."""
        file = self._folder.path / str(number) / ADMISSION
        self._folder.write(file, as_json(read_json(file) | {"at": _now()} | self._judgement()).encode())


def as_told(rollout: Rollout) -> dict[str, Any]:
    """Returns the roll-out for the history and for machines."""
    told = rollout._asdict()
    return told | {"before": list(rollout.before)}


def _without_trials(now: Rollout, target: int) -> Rollout:
    """Returns the roll-out without the trials of a version that becomes current."""
    if now.shadow == target:
        now = now._replace(shadow=None)
    return _without_canary(now) if now.canary == target else now


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()


def _without_canary(now: Rollout) -> Rollout:
    return now._replace(canary=None, canary_share=0.0, canary_salt="")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def current_metrics(model: Path) -> Path:
    """Returns where the figures of the version that answers lie, in a model's folder.

    Raises:
        ShippingError: it holds no model.
    """
    folder = ModelFolder(model)
    return part(folder.version(rollout_of(folder).current), METRICS)
