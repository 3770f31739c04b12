"""A person's request for a page, and what the API answers to that person."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from slurmwatchd.config.api_tokens import ScopeKind
from slurmwatchd.daemon.web.api.access import Caller
from slurmwatchd.daemon.web.api.calls import Behind, Call
from slurmwatchd.daemon.web.api.endpoints import ENDPOINTS, PREFIX
from slurmwatchd.daemon.web.api.parameters import Parameters, read
from slurmwatchd.daemon.web.api.problems import ProblemError
from slurmwatchd.daemon.web.api.questions import Asking, ClientGoneError
from slurmwatchd.daemon.web.api.sight import Sight
from slurmwatchd.model.clock import epoch

Object = dict[str, Any]
Pairs = Iterable[tuple[str, str]]

_ENDPOINTS = {endpoint.path: endpoint for endpoint in ENDPOINTS}


class _Value(Response):
    """An answer that is not yet written."""

    def __init__(self, value: Object) -> None:
        super().__init__()
        self.value = value


class _ValueCall(Call[Parameters]):
    """A call whose answer is taken before it is written as JSON."""

    async def answer(self, build: Callable[[Sight, Asking], Mapping[str, Any]]) -> Response:
        value: Any = await self.ask(build, watched=True)
        return _Value(value)


@dataclass(frozen=True, slots=True)
class Visit:
    """A request for a page by somebody who is logged in.

    Attributes:
        pairs: What stands in the address behind the question mark, but for fields of a form that were left empty.
        links: The same answers as JSON: what each is, and its address.
    """

    request: Request
    caller: Caller
    behind: Behind
    pairs: tuple[tuple[str, str], ...]
    links: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def of(cls, request: Request, caller: Caller, behind: Behind) -> "Visit":
        """Read the address."""
        pairs = tuple((name, value) for name, value in request.query_params.multi_items() if value.strip())
        return cls(request, caller, behind, pairs)

    @property
    def sees_all(self) -> bool:
        """Whether the caller may see everything."""
        return self.caller.scope.kind is ScopeKind.ALL

    @property
    def sees_own(self) -> bool:
        """Whether the caller sees the jobs of one user."""
        return self.caller.scope.kind is ScopeKind.USER

    def given(self, *names: str) -> tuple[tuple[str, str], ...]:
        """Return those of the pairs that have one of these names."""
        return tuple(pair for pair in self.pairs if pair[0] in names)

    def only(self, *names: str) -> None:
        """Take no other parameter than these.

        Raises:
            ProblemError: There is one.
        """
        for name, _ in self.pairs:
            if name not in names:
                raise ProblemError(400, f"{name[:64]}: there is no such parameter here", parameter=name[:64])

    async def ask(self, path: str, pairs: Pairs = (), *, link: str = "") -> Object:
        """Return what an endpoint answers to the caller; parameters in its path are those of the page.

        Args:
            path: The endpoint's, such as `/jobs/{job_id}`.
            pairs: Its parameters.
            link: What the answer is called where the page links to it as JSON; empty: no link.

        Raises:
            ProblemError: As the API has it.
            ClientGoneError: The client has gone.
        """
        pairs = tuple(pairs)
        endpoint = _ENDPOINTS[path]
        if link:
            where = path.format(
                **{name: quote(value, safe="") for name, value in self.request.path_params.items()}
            )
            self.links.append((link, f"{PREFIX}{where}{'?' if pairs else ''}{urlencode(pairs)}"))
        query = read(endpoint.query, pairs)
        call = _ValueCall(request=self.request, caller=self.caller, query=query, behind=self.behind)
        answer = await endpoint.answer(call)
        if not isinstance(answer, _Value):
            raise ClientGoneError
        return answer.value

    async def ask_if(self, path: str, pairs: Pairs = (), *, link: str = "") -> tuple[Object, str]:
        """Return the same; where it cannot be answered, an empty object and why, so that the page shows the rest.

        Raises:
            ClientGoneError: The client has gone.
        """
        try:
            return await self.ask(path, pairs, link=link), ""
        except ProblemError as error:
            return {}, error.detail


def address(path: str, pairs: Pairs = (), **more: str | None) -> str:
    """Return a page's address: with the pairs, in which more are set, or left out where they are None."""
    kept = [(name, value) for name, value in pairs if name not in more]
    kept += [(name, value) for name, value in more.items() if value is not None]
    return f"{path}?{urlencode(kept)}" if kept else path


def seconds_of(moment: str) -> int:
    """Return a moment of the wire format as epoch seconds.

    Raises:
        ValueError: It is none.
    """
    seconds = epoch(moment)
    if seconds is None:
        raise ValueError(f"{moment!r} is not a moment")
    return seconds
