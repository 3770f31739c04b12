"""What a scraper gets: the text of all metrics, in the form that it asks for.

prometheus-client negotiates the form (OpenMetrics, or Prometheus' own text of 0.0.4 and 1.0.0) and writes most of
it. A collector with thousands of series may write its own lines: most did not change since the last scrape.
"""

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

_OPENMETRICS = "application/openmetrics-text"
_EOF = b"# EOF\n"
_CHANGE_NAMES = ("escaping=dots", "escaping=values")
"""What scrapers ask for that want other names than ours; prometheus-client writes those."""


@runtime_checkable
class WritesText(Protocol):
    """A collector that writes its own lines."""

    def text(self, *, openmetrics: bool) -> Iterator[str]:
        """Give the lines of its families, each with its newline; called from any thread.

        Args:
            openmetrics: Whether as OpenMetrics has them, with exemplars, or as Prometheus' own text has.
        """
        ...


class Registry(CollectorRegistry):
    """A registry that knows which of its collectors write their own lines."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__(auto_describe=True)
        self._others = CollectorRegistry(auto_describe=True)
        self._writers: list[WritesText] = []

    def register(self, collector: Collector) -> None:
        """Take a collector."""
        super().register(collector)
        if isinstance(collector, WritesText):
            self._writers.append(collector)
        else:
            self._others.register(collector)

    def written(self, encode: Callable[[CollectorRegistry], bytes], *, openmetrics: bool) -> bytes:
        """Return the text of all metrics, of which prometheus-client encodes those that write none themselves."""
        rest = encode(self._others)
        own = "".join(line for writer in self._writers for line in writer.text(openmetrics=openmetrics)).encode()
        return rest.removesuffix(_EOF) + own + _EOF if openmetrics else rest + own


def exposition(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """Return the text of all metrics and its content type.

    Args:
        registry: The metrics.
        accept: What the scraper takes, as its header says.
    """
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):
        # A version that is no number is not to be had, like any other form that nobody writes.
        encode, content_type = choose_encoder("")
    if not isinstance(registry, Registry) or any(change in content_type for change in _CHANGE_NAMES):
        return encode(registry), content_type
    return registry.written(encode, openmetrics=content_type.startswith(_OPENMETRICS)), content_type
