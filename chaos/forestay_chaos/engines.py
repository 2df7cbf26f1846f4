"""What is put under fire: Forestay's worker, or stock Faust with the same shop."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from forestay_chaos.oracle import judge
from forestay_chaos.read_record import ReadRecord
from forestay_chaos.scenario import KINDS, PLAIN_KINDS
from forestay_chaos.stock_oracle import CHANGELOG, STOCK_MODULE, judge_stock, stock_traffic
from forestay_chaos.traffic import Traffic
from forestay_chaos.verdict import Verdict


def _judge(traffic: Traffic, read: Mapping[str, Sequence[ReadRecord]], worked_off: bool) -> Verdict:
    del worked_off  # what Forestay has not worked off is lost
    return judge(traffic, read)


def _as_it_is(traffic: Traffic) -> Traffic:
    return traffic


class Engine(NamedTuple):
    """An engine: its workers' module, the roles they read, what can befall them, and who judges.

    The judge is told, too, whether all was worked off. `own_topics`: names of topics that an engine makes for itself,
    with `{group}` in them.
    """

    name: str
    module: tuple[str, ...]
    sources: tuple[str, ...]
    kinds: tuple[str, ...]
    judge: Callable[[Traffic, Mapping[str, Sequence[ReadRecord]], bool], Verdict]
    traffic: Callable[[Traffic], Traffic] = _as_it_is
    own_topics: tuple[str, ...] = ()


FORESTAY: Final = Engine("forestay", ("forestay",), ("clickstream", "clock", "identity", "budget"), KINDS, _judge)
#: Stages are Forestay's own, and so are Triton, the recorder and a clock that is read.
STOCK: Final = Engine(
    "stock", (STOCK_MODULE,), ("clickstream",), PLAIN_KINDS, judge_stock, stock_traffic, (CHANGELOG,)
)
ENGINES: Final = {engine.name: engine for engine in (FORESTAY, STOCK)}
