"""The options of a sink of type `nats`."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from slurmwatchd.config.settings import Duration, Texts, WholeDuration
from slurmwatchd.config.units import DAY, HOUR
from slurmwatchd.sinks.credentials import check_key_pair
from slurmwatchd.sinks.extras import require
from slurmwatchd.sinks.forms.options import FormOptions
from slurmwatchd.sinks.nats.subjects import Subjects


class NatsOptions(FormOptions):
    """A stream of NATS JetStream; needs the extra `nats`.

    An event is stored once: its id is the `Nats-Msg-Id`, and after a failure the sink looks for its last messages
    in the stream before it goes on. A new store reads from the stream first what an earlier one sent: at that
    start the server must be there.
    """

    type: Literal["nats"]
    servers: Texts = Field(("nats://127.0.0.1:4222",), min_length=1)
    """URLs of the servers, tried in turn: `nats://` or `tls://`."""
    stream: str = Field("SLURM", pattern=r"^[A-Za-z0-9_-]{1,255}$")
    """The stream."""
    create: bool = True
    """Whether the stream is made where there is none: on files, without limits, for all subjects of `subject`."""
    subject: str = "slurm.{cluster}.{event}.{partition}"
    """The subject of an event. In braces stand the names of fields (`cluster`, `event`, `partition`, `account`,
    `user`, `qos`, `state`); what a token may not hold is written as `%2E` and the like, a missing value as `_`."""
    replicas: int = Field(1, ge=1, le=5)
    """On how many servers a stream that is made here is kept."""
    duplicate_window: WholeDuration = Field(2 * HOUR, ge=1, le=30 * DAY)
    """For how long the server of a stream that is made here knows ids again."""
    window: int = Field(256, ge=1, le=4000)
    """How many events may be on their way unacknowledged."""
    timeout: Duration = Field(10.0, ge=0.1, le=60)
    """How long to wait for a connection, or for an acknowledgement."""
    credentials_file: str = ""
    """A file of credentials (JWT and seed, as `nsc` writes it): a path, or a credential of the unit."""
    nkey_file: str = ""
    """A file with the seed of an nkey, likewise."""
    tls_ca_file: str = ""
    """Certificates of the authorities that may have signed the server's, likewise; empty: the system's."""
    tls_certificate_file: str = ""
    """The daemon's own certificate, likewise, for servers that ask for one."""
    tls_key_file: str = ""
    """Its key, likewise."""

    @field_validator("type")
    @classmethod
    def _library(cls, value: str) -> str:
        require("nats", "nats-py", "nats")
        return value

    @field_validator("servers")
    @classmethod
    def _urls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [url for url in value if not url.startswith(("nats://", "tls://"))]:
            raise ValueError(f"{wrong[0]!r}: write nats://HOST:PORT or tls://HOST:PORT")
        return value

    @field_validator("subject")
    @classmethod
    def _template(cls, value: str) -> str:
        Subjects(value)
        return value

    @model_validator(mode="after")
    def _one_identity(self) -> "NatsOptions":
        if self.credentials_file and self.nkey_file:
            raise ValueError("credentials_file and nkey_file cannot both be given")
        check_key_pair(self)
        return self
