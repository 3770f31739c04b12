"""An event as a message: a CloudEvent in binary mode, its attributes as headers, its fields as the body."""

import re
from functools import lru_cache

from slurmwatchd.sinks.forms.cloudevents import attributes
from slurmwatchd.sinks.forms.form import WrittenEvent
from slurmwatchd.sinks.kafka.topic import Header, OutgoingMessage

_FLAT = re.compile(
    rb'\{"id":"([^"]*)","event":"([a-z_]*)","schema":1,"seq":[0-9]+,"revision":[0-9]+,(?:"time":"([^"]*)",)?'
    rb'"observed":"[^"]*","found_by":"[^"]*","cluster":"([^"\\]*)","job_id":"([^"\\]*)","job_id_raw":([0-9]+),'
)
"""How a flat line begins, if its texts hold nothing to be unescaped: a message needs no more of it."""

_VERSION = ("ce_specversion", b"1.0")


class Messages:
    """Makes messages of the events of one format."""

    def __init__(self, format_: str) -> None:
        """Take the sink's format."""
        content = "application/cloudevents+json" if format_ == "cloudevents" else "application/json"
        self._content: Header = ("content-type", content.encode())

    def of(self, written: WrittenEvent) -> OutgoingMessage:
        """Return an event's message; its key is that of its job."""
        found = _FLAT.match(written.line)
        if found is None:
            return self._by_fields(written)
        identity, event, time, cluster, job_id, job_id_raw = found.groups()
        source, kind = _about(cluster, event)
        headers = [("ce_id", identity), _VERSION, source, kind, ("ce_subject", b"job/" + job_id)]
        if time is not None:
            headers.append(("ce_time", time))
        headers.append(self._content)
        return OutgoingMessage(cluster + b"/" + job_id_raw, written.line[:-1], headers)

    def _by_fields(self, written: WrittenEvent) -> OutgoingMessage:
        fields = written.fields
        known = {"event", "cluster", "job_id"} <= fields.keys()
        attached = attributes(fields) if known else {"id": written.id}
        headers = [(f"ce_{name}", value.encode()) for name, value in attached.items()]
        key = f"{fields['cluster']}/{fields['job_id_raw']}".encode()
        return OutgoingMessage(key, written.line[:-1], [*headers, self._content])


@lru_cache(maxsize=1024)
def _about(cluster: bytes, event: bytes) -> tuple[Header, Header]:
    """Return the headers that all events of one kind of one cluster have alike: source and type."""
    known = attributes({"id": "", "cluster": cluster.decode(), "event": event.decode(), "job_id": ""})
    return ("ce_source", known["source"].encode()), ("ce_type", known["type"].encode())
