"""The options of a sink of type `kafka`."""

import socket
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from slurmwatchd.config.settings import Duration
from slurmwatchd.sinks.credentials import check_key_pair
from slurmwatchd.sinks.extras import require
from slurmwatchd.sinks.forms.options import FormOptions


class KafkaOptions(FormOptions):
    """A Kafka topic; needs the extra `kafka`.

    At least once, with ids: whenever the sink connects it looks for its last messages in the topic and does not
    send them again; consumers dedupe what is left on the header `ce_id`. A new store reads from the topic first
    what an earlier one sent: at that start a broker must be there.
    """

    type: Literal["kafka"]
    bootstrap: str = Field("127.0.0.1:9092", min_length=1)
    """Brokers to begin with, `HOST:PORT`, with commas between them."""
    topic: str = Field("slurm-jobs", pattern=r"^[A-Za-z0-9._-]{1,249}$")
    """The topic; it must be there, or the brokers must make it by themselves."""
    transactions: bool = True
    """Whether each batch is one transaction: readers with `isolation.level=read_committed` see all of it or
    nothing. Without, messages of a batch that failed may stand in the topic already."""
    transactional_id: str = ""
    """The name of the transactions, one for each daemon: of two that share it the broker shuts out the older.
    Empty: made of the host's name and the sink's."""
    max_message_bytes: int = Field(1_000_000, ge=6000, le=1_000_000_000)
    """What the brokers take (`max.message.bytes` of the topic); key and headers count."""
    timeout: Duration = Field(15.0, ge=1, le=60)
    """How long to wait for brokers, or for a batch to be stored."""
    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    """How to talk to the brokers."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """How the user's password is proved, with one of the `sasl` ways."""
    sasl_username: str = ""
    """The user."""
    sasl_password_file: str = ""
    """A file with the password: a path, or a credential of the unit."""
    tls_ca_file: str = ""
    """Certificates of the authorities that may have signed the brokers', likewise; empty: the system's."""
    tls_certificate_file: str = ""
    """The daemon's own certificate, likewise, for brokers that ask for one."""
    tls_key_file: str = ""
    """Its key, likewise."""

    def sender(self, name: str) -> str:
        """Return the name of the transactions of the sink of this name."""
        return self.transactional_id or f"slurmwatchd.{socket.gethostname()}.{name}"

    def for_replay(self, name: str) -> Self:
        """Return these with another name of the transactions: for its own the broker would shut out the daemon."""
        return self.model_copy(update={"transactional_id": f"{self.sender(name)}.replay"})

    @field_validator("type")
    @classmethod
    def _library(cls, value: str) -> str:
        require("confluent_kafka", "confluent-kafka", "kafka")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "KafkaOptions":
        if self.security.startswith("sasl") and not (self.sasl_username and self.sasl_password_file):
            raise ValueError(f'security = "{self.security}" needs sasl_username and sasl_password_file')
        check_key_pair(self)
        return self
