"""Named tuples made by the hundred thousand."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar, cast

T = TypeVar("T", bound=tuple[Any, ...])


def maker(kind: type[T]) -> Callable[[Iterable[Any]], T]:
    """Return what makes a named tuple of all its fields: its own constructor takes three times as long."""
    return cast("Callable[[Iterable[Any]], T]", partial(tuple.__new__, kind))
