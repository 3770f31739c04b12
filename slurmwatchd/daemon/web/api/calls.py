"""One request under way: who asks, its parameters, and how it is answered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio
from starlette.requests import Request
from starlette.responses import Response

from slurmwatchd.config.settings import ReportSection
from slurmwatchd.daemon.web.api import answers
from slurmwatchd.daemon.web.api.access import Caller
from slurmwatchd.daemon.web.api.answers import Prepared
from slurmwatchd.daemon.web.api.cursors import Sealer
from slurmwatchd.daemon.web.api.news import News
from slurmwatchd.daemon.web.api.parameters import Parameters
from slurmwatchd.daemon.web.api.problems import ProblemError
from slurmwatchd.daemon.web.api.questions import Asking, ClientGoneError, Questions
from slurmwatchd.daemon.web.api.sight import Sight
from slurmwatchd.store.read.pages import Place
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.telemetry.health import Health

if TYPE_CHECKING:
    from slurmwatchd.daemon.web.api.archive_reports import ArchiveReports

P_co = TypeVar("P_co", bound=Parameters, covariant=True)
T = TypeVar("T")

CLIENT_GONE = 499
"""Never sent: who would read it has gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """What stands behind every endpoint."""

    questions: Questions
    sealer: Sealer
    news: News
    health: Health
    report: ReportSection
    archive: "ArchiveReports | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[P_co]):
    """A request whose login and parameters are right."""

    request: Request
    caller: Caller
    query: P_co
    behind: Behind

    @property
    def path(self) -> Mapping[str, str]:
        """The parameters of the path."""
        return self.request.path_params

    async def ask(self, build: Callable[[Sight, Asking], T], *, watched: bool = False) -> T:
        """Put a question to the store, as the caller sees it.

        Args:
            build: Asks, in a worker thread.
            watched: Whether the question ends when the client goes.

        Raises:
            ProblemError: It cannot be answered.
            ClientGoneError: `watched`: the client has gone.
        """

        def work(store: StoreReader, asking: Asking) -> T:
            return build(Sight(store, self.caller.scope), asking)

        gone = partial(answers.until_gone, self.request.receive) if watched else None
        return await self.behind.questions.ask(work, who=self.caller.name, until_gone=gone)

    async def answer(self, build: Callable[[Sight, Asking], Mapping[str, Any]]) -> Response:
        """Answer with what `build` returns, as JSON made in its thread; it is ended when the client goes."""
        gzip = answers.takes_gzip(self.request)

        def make(sight: Sight, asking: Asking) -> Prepared:
            return answers.prepared(build(sight, asking), gzip=gzip)

        try:
            return answers.response(self.request, await self.ask(make, watched=True))
        except ClientGoneError:
            return Response(status_code=CLIENT_GONE)

    async def while_there(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - what `work` returns
        """Return what `work` returns; None where the client went before."""
        result: Any = None
        problem: ProblemError | None = None
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                await answers.until_gone(self.request.receive)
                group.cancel_scope.cancel()

            group.start_soon(watch)
            try:
                result = await work()
            except ProblemError as error:
                problem = error
            group.cancel_scope.cancel()
        if problem is not None:
            raise problem
        return result

    def place(self, kind: bytes, cursor: str | None) -> Place | None:
        """Open a cursor.

        Raises:
            ProblemError: It is none of this daemon's, or of another question.
        """
        if cursor is None:
            return None
        try:
            return self.behind.sealer.open(kind, cursor)
        except ValueError as error:
            raise ProblemError(400, f"cursor: {error}", parameter="cursor") from None

    def cursor(self, kind: bytes, place: Place, *, unlike: bool = False) -> str:
        """Seal a place; see `Sealer.seal`."""
        return self.behind.sealer.seal(kind, place, unlike=unlike)
