"""An event as a message: a CloudEvent in binary mode, its attributes as headers, its fields as the body."""

import re
from collections.abc import Sequence
from functools import lru_cache

from slurmwatchd.model.tuples import maker
from slurmwatchd.sinks.forms.cloudevents import attributes
from slurmwatchd.sinks.forms.form import WrittenEvent
from slurmwatchd.sinks.kafka.topic import OutgoingMessage

_FLAT = re.compile(
    rb'\{"id":"([^"]*)","event":"([a-z_]*)","schema":1,"seq":[0-9]+,"revision":[0-9]+,(?:"time":"([^"]*)",)?'
    rb'"observed":"[^"]*","found_by":"[^"]*","cluster":"([^"\\]*)","job_id":"([^"\\]*)","job_id_raw":([0-9]+),'
)
"""How a flat line begins, if its texts hold nothing to be unescaped: a message needs no more of it."""

_MESSAGE = maker(OutgoingMessage)


class Messages:
    """Makes messages of the events of one format."""

    def __init__(self, format_: str) -> None:
        """Take the sink's format."""
        self._content = b"application/cloudevents+json" if format_ == "cloudevents" else b"application/json"
        self._about = lru_cache(maxsize=1024)(_about)

    def of(self, written: Sequence[WrittenEvent]) -> list[OutgoingMessage]:
        """Return the messages of events; the key of each is that of its job."""
        content, about, match = self._content, self._about, _FLAT.match
        messages: list[OutgoingMessage] = []
        for event in written:
            line = event.line
            found = match(line)
            if found is None:
                messages.append(self._by_fields(event))
                continue
            identity, kind, time, cluster, job_id, number = found.groups()
            source, type_ = about(cluster, kind)
            headers = {
                "ce_id": identity, "ce_specversion": b"1.0", "ce_source": source, "ce_type": type_,
                "ce_subject": b"job/" + job_id, "ce_time": time, "content-type": content,
            }  # fmt: skip
            if time is None:
                del headers["ce_time"]
            messages.append(_MESSAGE((cluster + b"/" + number, line[:-1], headers)))
        return messages

    def _by_fields(self, written: WrittenEvent) -> OutgoingMessage:
        fields = written.fields
        known = {"event", "cluster", "job_id"} <= fields.keys()
        attached = attributes(fields) if known else {"id": written.id}
        headers = {f"ce_{name}": value.encode() for name, value in attached.items()}
        key = f"{fields['cluster']}/{fields['job_id_raw']}".encode()
        return OutgoingMessage(key, written.line[:-1], headers | {"content-type": self._content})


def _about(cluster: bytes, event: bytes) -> tuple[bytes, bytes]:
    """Return what all events of one kind of one cluster have alike: source and type."""
    known = attributes({"id": "", "cluster": cluster.decode(), "event": event.decode(), "job_id": ""})
    return known["source"].encode(), known["type"].encode()
