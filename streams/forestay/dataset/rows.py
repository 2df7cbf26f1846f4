"""The rows of one partition's users: inputs by the serving code, point in time; labels from what came after."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from forestay.core.decision.model_input import ModelInput, model_input
from forestay.core.decoding.decode import event_of
from forestay.core.errors import ForestayError
from forestay.core.event import Event
from forestay.core.hashing import unit_interval
from forestay.core.state.user_state import UserState
from forestay.dataset.labels import UNKNOWN, Activity, Outcome, is_active, is_known, outcome
from forestay.dataset.partitioning import ids_by_owner
from forestay.dataset.plan import Plan, moment_text, split_of
from forestay.dataset.tables import Row
from forestay.history.links import Links, Owned
from forestay.history.rebuild import in_order, rebuilt, rebuilt_at
from forestay.history.told import Told

#: Share of the rows that are made again from the events until their cutoff alone.
_MADE_AGAIN: Final = 1 / 64


class LeakError(ForestayError):
    """A row knows what came after it, or is judged on what it was trained on."""


class _Cutoff(NamedTuple):
    """A moment at which a user is asked about, and the ids that are theirs then."""

    at: int
    ids: list[str]


class PartitionRows:
    """The rows of a partition, sorted by user and cutoff. `made_again` counts those that were checked so."""

    def __init__(self, plan: Plan, told: dict[str, list[Told]], owned: Mapping[str, Owned], known_until: int) -> None:
        """`told` holds events by id, `owned` which ids are another's; events are known up to `known_until`."""
        self.made_again = 0
        self._plan = plan
        self._rules = plan.rules
        self._told = told
        self._owned = owned
        self._known_until = known_until
        self._others = ids_by_owner(list(told), owned)
        self._activities: dict[str, Activity] = {}
        self._read: tuple[str | None, list[Event]] = None, []

    def rows(self) -> Iterator[Row]:
        """Yields them.

        Raises:
            LeakError: a row is another when made from the events until its cutoff alone.
        """
        for user_id in sorted({*self._told, *self._others}):
            wanted = [cutoff for cutoff in self._cutoffs(user_id) if self._is_active(cutoff)]
            if wanted:
                yield from self._user(user_id, wanted)
            self._forget(user_id)

    def _user(self, user_id: str, wanted: list[_Cutoff]) -> Iterator[Row]:
        for cutoff, made in zip(wanted, self._inputs(user_id, wanted), strict=True):
            if not self.made_again or unit_interval("made again", user_id, str(cutoff.at)) < _MADE_AGAIN:
                self._make_again(user_id, cutoff, made)
            came = [self._outcome(user_id, cutoff, horizon) for horizon in self._plan.horizons]
            labels, spends = tuple(one.churned for one in came), tuple(one.spend for one in came)
            yield Row(user_id, cutoff.at, split_of(self._plan, cutoff.at), labels, spends, made)

    # -- who, when -------------------------------------------------------------------------------------

    def _cutoffs(self, user_id: str) -> Iterator[_Cutoff]:
        """Yields the cutoffs at which `user_id` is a user of their own."""
        owned = self._owned.get(user_id)
        for at in self._plan.cutoffs:
            if owned is None or at < owned.since:
                yield _Cutoff(at, self._ids(user_id, at))

    def _ids(self, user_id: str, at: int) -> list[str]:
        """Returns the ids of a user by what was said up to `at`."""
        others = [other for other in self._others.get(user_id, ()) if self._owned[other].since <= at]
        return [one for one in (user_id, *others) if one in self._told]

    def _is_active(self, cutoff: _Cutoff) -> bool:
        return bool(cutoff.ids) and is_active(self._plan, cutoff.at, [self._activity(one) for one in cutoff.ids])

    def _activity(self, user_id: str) -> Activity:
        known = self._activities.get(user_id)
        if known is None:
            known = self._activities[user_id] = Activity(self._events(user_id), self._plan.label)
        return known

    def _forget(self, user_id: str) -> None:
        """Lets go of a user who is alone: nobody else's label needs them."""
        if user_id not in self._others and user_id not in self._owned:
            self._activities.pop(user_id, None)

    # -- what the model is given ---------------------------------------------------------------------------

    def _inputs(self, user_id: str, wanted: list[_Cutoff]) -> Iterator[ModelInput]:
        """Yields the inputs at the cutoffs: in one pass while the user has one id, then made anew each."""
        alone = [cutoff.at for cutoff in wanted if cutoff.ids == [user_id]]
        passed = rebuilt_at(self._events(user_id), self._rules, alone)
        for cutoff in wanted:
            state = next(passed) if cutoff.ids == [user_id] else self._merged(user_id, cutoff)
            yield self._input(state, cutoff.at)

    def _events(self, user_id: str) -> list[Event]:
        """Returns the events of an id; those of the last one asked for are kept, as reading them is half the work."""
        if self._read[0] != user_id:
            self._read = user_id, list(in_order(self._told[user_id]))
        return self._read[1]

    def _merged(self, user_id: str, cutoff: _Cutoff) -> UserState | None:
        histories = {one: _until(self._told[one], cutoff.at) for one in cutoff.ids}
        return rebuilt(user_id, histories, self._rules, cutoff.at)

    def _input(self, state: UserState | None, at: int) -> ModelInput:
        # Who is active did something that counts, so there is a state.
        assert state is not None  # noqa: S101
        return model_input(state, self._rules.features, at)

    # -- what came of it -----------------------------------------------------------------------------------

    def _outcome(self, user_id: str, cutoff: _Cutoff, horizon: int) -> Outcome:
        if not is_known(cutoff.at, horizon, self._known_until):
            return UNKNOWN
        before = [self._activity(one) for one in cutoff.ids]
        # An id that turns out to be a user's within the window, before its end, is that user all along.
        last = cutoff.at + horizon - 1
        owned = self._owned.get(user_id)
        person = owned.owner if owned is not None and owned.since <= last else user_id
        after = [self._activity(one) for one in self._ids(person, last)]
        return outcome(self._plan, cutoff.at, horizon, before, after)

    # -- no row knows what comes after it --------------------------------------------------------------------

    def _make_again(self, user_id: str, cutoff: _Cutoff, made: ModelInput) -> None:
        """Makes a row again from the events until its cutoff alone, links of ids and all.

        Raises:
            LeakError: it is another.
        """
        ids = [user_id, *self._others.get(user_id, ())]
        # Cut by what the events themselves say: `_until` is among what is checked, for users with several ids.
        histories = {
            one: [told for told in self._told[one] if event_of(told.value, None).ts <= cutoff.at]
            for one in ids
            if one in self._told
        }
        owners = self._owners(histories, cutoff.at)
        theirs = {one: told for one, told in histories.items() if owners.get(one, one) == user_id}
        again = self._input(rebuilt(user_id, theirs, self._rules, cutoff.at), cutoff.at)
        self.made_again += 1
        for name, mine, other in zip(made._fields, made, again, strict=True):
            if mine.tobytes() != other.tobytes():
                raise LeakError(
                    f"{name} of user {user_id} at {moment_text(cutoff.at)} are others when made from the events until"
                    " then alone: the row knows what came after it"
                )

    def _owners(self, histories: Mapping[str, list[Told]], at: int) -> dict[str, str]:
        links = Links()
        if self._plan.merge_identities:
            for told in histories.values():
                for event in in_order(told):
                    links.add(event)
        return links.owners(at)


def _until(told: list[Told], at: int) -> list[Told]:
    """Returns the events of files up to `at`: their place is their time."""
    return [one for one in told if one.place <= at]
