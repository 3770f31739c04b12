"""What a token may see of the store. Endpoints ask the store through this, and in no other way."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import partial
from typing import Any

from slurmwatchd.config.api_tokens import ScopeKind, TokenScope
from slurmwatchd.model import formats
from slurmwatchd.model.records import Event
from slurmwatchd.model.reports import Rates, ReportLine, lines
from slurmwatchd.store.read import arrays, coverage, events, pages, report, status
from slurmwatchd.store.read.arrays import JobArray
from slurmwatchd.store.read.coverage import HourRead
from slurmwatchd.store.read.pages import Place
from slurmwatchd.store.read.query import Question
from slurmwatchd.store.read.reader import Record, StoreReader
from slurmwatchd.store.read.report import Wish

Reporting = Callable[[StoreReader, Wish, Rates], list[ReportLine]]
Archived = Callable[[StoreReader, str], Sequence[tuple[int, int]]]

_MAX_LINE_BYTES = 1 << 20
_SEQ = b',"seq":'


class Sight:
    """The store, as far as a token shows it.

    A token for one user or account shows nothing of others: no attempt, no name, no node, no count. Positions and
    row ids count what others have, so they never leave the daemon as they are. An answer to a user's token takes
    as long as that user has attempts, whatever others have.
    """

    def __init__(self, store: StoreReader, scope: TokenScope) -> None:
        """Look at a store with a token's eyes.

        Raises:
            PermissionError: The token shows nothing of the store.
        """
        if scope.kind is ScopeKind.METRICS:
            raise PermissionError(str(scope))
        self._store = store
        self._scope = scope
        self._user = scope.name if scope.kind is ScopeKind.USER else None
        self._account = scope.name if scope.kind is ScopeKind.ACCOUNT else None

    @property
    def is_whole(self) -> bool:
        """Whether it shows everything."""
        return self._scope.kind is ScopeKind.ALL

    def page(self, question: Question, limit: int) -> list[Place]:
        """Return the places of the next attempts; see `pages.page`."""
        seen = self._seen(question)
        return [] if seen is None else pages.page(self._store, seen, limit)

    def arrays(self, question: Question, limit: int) -> list[JobArray]:
        """Return the next arrays; see `arrays.arrays`."""
        seen = self._seen(question)
        return [] if seen is None else arrays.arrays(self._store, seen, limit)

    def records(self, places: Sequence[Place], *, nodes: bool, usage: bool) -> list[Record]:
        """Return the records of places that `page` gave."""
        return self._store.fetch([row for _, row in places], nodes=nodes, usage=usage)

    def fields(self, places: Sequence[Place], wanted: AbstractSet[str]) -> list[Record] | None:
        """Return fields of those records from their columns, where they have them; see `pages.fields`."""
        return pages.fields(self._store, [row for _, row in places], wanted)

    def history(self, place: Place) -> list[dict[str, Any]]:
        """Return what was reported of an attempt, oldest first."""
        found = status.history(self._store, place[1])
        return found if self.is_whole else [_without_position(event) for event in found]

    def shared_nodes_with(self, place: Place, *, limit: int) -> list[Record]:
        """Return the attempts that were on a node of this one while it ran."""
        found = status.shared_with(self._store, place[1], limit=limit, account=self._account, user=self._user)
        return self._store.fetch(found)

    def events(self, after: int, limit: int) -> tuple[list[tuple[int, bytes]], int]:
        """Return the next events, each with its position, as JSON; and up to where all were looked at."""
        found, until = events.positions(self._store, after, limit, account=self._account, user=self._user)
        return [(event.seq, self._line(event)) for event in events.events(self._store, found)], until

    def report(self, wish: Wish, rates: Rates, ask: Reporting = report.report) -> list[ReportLine]:
        """Return the lines of a report.

        Args:
            wish: What is to be reported.
            rates: What it costs.
            ask: Makes it of the store and of what this token may see.

        Raises:
            PermissionError: The token is for a user: what a report takes depends on how many others there are.
        """
        if self._user is not None:
            raise PermissionError(str(self._scope))
        if self._account is not None:
            if wish.accounts and self._account not in wish.accounts:
                return lines({}, rates, top=None)
            wish = replace(wish, accounts=(self._account,))
        return ask(self._store, wish, rates)

    def reported(self, cluster: str, archived: Archived) -> list[tuple[int, int]]:
        """Return the stretches of a cluster's ends that a report has; see `report.reached`."""
        return report.reached(self._store, cluster, partial(archived, self._store))

    def newest_event(self) -> int:
        """Return the newest position."""
        return events.newest(self._store)

    def readings(self) -> list[status.ClusterProgress]:
        """Return how far each cluster is read; this tells nothing of attempts but `last`."""
        found = status.readings(self._store)
        return found if self.is_whole else [reading._replace(last=None) for reading in found]

    def hours(self, reading: status.ClusterProgress, since: int, until: int, *, now: int) -> list[HourRead]:
        """Return what was read of each hour; see `coverage.hours`. Numbers of attempts are `is_whole`'s only."""
        return coverage.hours(self._store, reading, since, until, now=now)

    def whole(self) -> StoreReader:
        """Return the store itself, for what only a token for everything shows.

        Raises:
            PermissionError: The token shows a part.
        """
        if not self.is_whole:
            raise PermissionError(str(self._scope))
        return self._store

    def _seen(self, question: Question) -> Question | None:
        """Return the question as it may be asked; None where its answer is empty."""
        if self._user is not None:
            if question.users and self._user not in question.users:
                return None
            return replace(question, users=(self._user,), own=True)
        if self._account is not None:
            if question.accounts and self._account not in question.accounts:
                return None
            return replace(question, accounts=(self._account,))
        return question

    def _line(self, event: Event) -> bytes:
        line = formats.flat(event, max_line_bytes=_MAX_LINE_BYTES)[:-1]
        if self.is_whole:
            return line
        # The first such member is the event's own, and a number follows.
        head, mark, rest = line.partition(_SEQ)
        return head + rest[rest.index(b",") :] if mark else line


def _without_position(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "seq"}
