"""The configuration: every key, its default and its limits. `loader.py` reads it and names the faults."""

import ipaddress
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializeAsAny,
    field_validator,
    model_validator,
)

from slurmwatchd.config.api_tokens import ScopeKind, TokenScope
from slurmwatchd.config.metrics_section import MetricsSection
from slurmwatchd.config.paths import DEFAULT_STORE, DEFAULT_TOKENS
from slurmwatchd.config.units import (
    DAY,
    HOUR,
    MINUTE,
    check_file,
    check_folder,
    format_duration,
    is_loopback,
    parse_duration,
    parse_whole_duration,
    split_address,
    split_pairs,
    split_texts,
)
from slurmwatchd.model.records import REVISABLE, REVISING
from slurmwatchd.model.reports import Rates, check_prices

PREFIX = "SLURMWATCHD_"

Texts = Annotated[tuple[str, ...], BeforeValidator(split_texts)]
"""A list of texts."""

Duration = Annotated[float, BeforeValidator(parse_duration), PlainSerializer(format_duration)]
"""Seconds, perhaps a part of one."""

WholeDuration = Annotated[int, BeforeValidator(parse_whole_duration), PlainSerializer(format_duration)]
"""Whole seconds."""


Scopes = Annotated[dict[str, str], BeforeValidator(split_pairs)]
"""A table of names and what they may see."""

Prices = Annotated[
    dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]],
    BeforeValidator(split_pairs),
    AfterValidator(check_prices),
]
"""A table of prices."""


class Section(BaseModel):
    """A table of the file; unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class SlurmSection(Section):
    """Which Slurm the daemon watches, and where its commands are."""

    clusters: Texts = ()
    """The clusters to watch, all of one slurmdbd, with one watcher each. Empty: the local cluster."""
    bin_dir: str = ""
    """The folder of sacct and scontrol. Empty: the daemon finds them on PATH."""
    conf: str = ""
    """SLURM_CONF for Slurm's commands. Empty: the daemon's own environment."""
    conf_server: str = ""
    """SLURM_CONF_SERVER for Slurm's commands, `HOST[:PORT]` of slurmctld, if a configless site has no slurm.conf
    here."""
    jwt_file: str = ""
    """A file with a token for Slurm's commands (auth/jwt), if there is no munge. The daemon reads it for each
    call, so that it can be renewed. Empty: SLURM_JWT of the daemon's own environment, or none."""
    timeout: Duration = Field(5 * MINUTE, gt=0)
    """Time limit of a sacct call. slurmdbd continues the query of a killed sacct, so set minutes, not seconds."""

    @field_validator("clusters")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for place, name in enumerate(value):
            if not name or name.lower() == "all" or any(mark.isspace() or mark == "," for mark in name):
                raise ValueError(f"{name!r} is not the name of a cluster")
            if name in value[:place]:
                raise ValueError(f"{name!r} is in the list twice")
        return value

    @model_validator(mode="after")
    def _one_conf(self) -> "SlurmSection":
        if self.conf and self.conf_server:
            raise ValueError("conf and conf_server exclude each other: Slurm's commands read one configuration")
        return self


class PollSection(Section):
    """When the daemon reads which end times."""

    interval: Duration = Field(30.0, ge=1)
    """Time between two polls."""
    overlap: WholeDuration = Field(2 * MINUTE, ge=0)
    """How far each poll reaches back into what has already been read."""
    since: WholeDuration = Field(HOUR, ge=0)
    """How far back the first start reads."""
    slice: WholeDuration = Field(HOUR, ge=MINUTE)
    """The longest stretch of end times that one sacct call queries."""
    reread: Annotated[tuple[WholeDuration, ...], BeforeValidator(split_texts)] = Field(
        (5 * MINUTE, 15 * MINUTE, 2 * HOUR, 12 * HOUR, 2 * DAY, 8 * DAY)
    )
    """The ages at which the daemon reads a stretch of end times again, ascending."""
    open_set: WholeDuration = 5 * MINUTE
    """How often the daemon lists the open jobs. If a job vanishes from the list without an end, the daemon queries
    it by id. `"0s"`: never."""
    nudge_every: Duration = Field(2.0, ge=0.1)
    """How often a nudge (`slurmwatchd nudge`) may bring the next poll forward, however many come."""
    revise: Texts = REVISING
    """The fields whose change after an attempt's end creates a `job_revised`; see [events](events.md). Empty: no
    such events. A re-read first queries these fields only."""

    @field_validator("revise")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in value if name not in REVISABLE]:
            raise ValueError(f"{', '.join(unknown)}: slurmwatchd cannot report changes of this field")
        return tuple(dict.fromkeys(value))

    @model_validator(mode="after")
    def _consistent(self) -> "PollSection":
        if self.overlap >= self.slice:
            raise ValueError("overlap must be shorter than slice")
        if list(self.reread) != sorted(set(self.reread)):
            raise ValueError("reread must be ascending, each age once")
        return self


class StepsSection(Section):
    """What the daemon queries about the steps of ended jobs."""

    mode: Literal["off", "summary", "full"] = "summary"
    """Nothing, totals per attempt (`job_usage`), or also each step. If Slurm gathers no usage
    (JobAcctGatherType=jobacct_gather/none), `off` saves the queries."""


class StoreSection(Section):
    """The database between Slurm and the sinks."""

    path: Annotated[Path, BeforeValidator(check_file)] = DEFAULT_STORE
    """The store's file. The daemon creates a missing folder. Keep it on a local disk."""
    retain: WholeDuration = Field(400 * DAY, ge=HOUR)
    """How long the store keeps an attempt after its end, or after the backfill that found it. The daemon does not
    re-read older jobs."""


class ArchiveSection(Section):
    """A Parquet archive: attempts as a dataset of days, kept when the store has pruned them."""

    path: Annotated[str, BeforeValidator(check_folder)] = ""
    """The folder of the dataset, absolute. The daemon creates it, and a folder `PATH.tmp` beside it. Needs pyarrow
    (the extra `[parquet]`). Empty: no archive. See [The archive](archive.md)."""

    @property
    def folder(self) -> Path | None:
        """Where it is; None where there is none."""
        return Path(self.path) if self.path else None

    @field_validator("path")
    @classmethod
    def _has_pyarrow(cls, value: str) -> str:
        if value and find_spec("pyarrow") is None:
            raise ValueError("needs pyarrow, which is not installed: install slurmwatchd[parquet]")
        return value


class WebSection(Section):
    """The HTTP server."""

    listen: str = "127.0.0.1:10025"
    """Address and port, such as `127.0.0.1:10025` or `[::1]:10025`. Port 0: any free port. Empty: no server."""
    tokens_file: Annotated[Path, BeforeValidator(check_file)] = DEFAULT_TOKENS
    """The hashed tokens of the [API](api.md), which `slurmwatchd token` writes. The daemon reads a changed file
    without a restart. Where there is none, the API serves nothing of jobs."""
    timeout: Duration = Field(10.0, ge=0.1)
    """Time limit of one question to the API. A long export is many questions."""

    web_config: str = ""
    """Exporter-toolkit's `web.yml`: TLS, client certificates and basic auth; needs the extra `[web]`. The daemon
    reads it again when it, or a certificate, has changed. Empty: none. See
    [API](api.md#open-it-to-other-machines)."""
    people: Scopes = {}
    """What people see who log in with a name, in the [pages](pages.md) and the API: `all`, `account:NAME`,
    `user:NAME`, or `own`: their own jobs. `"*"` is everyone else who can log in. Other names see no jobs."""
    trusted_proxies: Texts = ()
    """Addresses or networks of proxies that log people in, such as `192.0.2.7` or `10.0.0.0/8`. The daemon
    believes what comes from one of them: on the loopback, each user of the machine could claim to be another."""
    user_header: str = Field("X-Remote-User", pattern="^[A-Za-z0-9-]{1,64}$")
    """The header in which a trusted proxy names the person."""
    insecure: bool = False
    """Whether an address other than the loopback may be without TLS: tokens and names then cross the network
    unprotected."""

    @field_validator("listen")
    @classmethod
    def _address(cls, value: str) -> str:
        if value:
            split_address(value)
        return value

    @field_validator("people")
    @classmethod
    def _scopes(cls, value: dict[str, str]) -> dict[str, str]:
        for name, scope in value.items():
            try:
                is_known = scope == "own" or TokenScope.parse(scope).kind is not ScopeKind.METRICS
            except ValueError:
                is_known = False
            if not is_known:
                raise ValueError(f"{name}: {scope!r} is not all, own, account:NAME or user:NAME")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            ipaddress.ip_network(text, strict=False)
        return value

    @model_validator(mode="after")
    def _secure(self) -> "WebSection":
        if self.listen and not (self.web_config or self.insecure or is_loopback(self.listen)):
            raise ValueError(
                f"listen {self.listen} is not the loopback: it needs TLS (web_config), or insecure = true"
            )
        return self


class LogSection(Section):
    """The log, always on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The lowest level that the daemon logs."""
    format: Literal["logfmt", "json"] = "logfmt"
    """The format of the log; both write one line per event."""


class ReportSection(Section):
    """What reports need to know of the site, in `slurmwatchd report`, the pages and the API."""

    currency: str = ""
    """What prices are in, as it is to be shown."""
    prices: Prices = {}
    """The price of an hour of each TRES: `cpu`, `node`, `mem` (an hour of a GiB), `billing`, `gres/gpu:a100`,
    `license/matlab`. `gres/gpu` is for GPUs whose type has no price of its own. Empty: no prices."""
    grams_per_kwh: float = Field(0.0, ge=0, allow_inf_nan=False)
    """How much CO2 a kWh is. `0.0`: not reported."""

    @property
    def rates(self) -> Rates:
        """What an hour of each TRES costs."""
        return Rates(prices=self.prices, grams_per_kwh=self.grams_per_kwh)


class Config(Section):
    """All of it."""

    slurm: SlurmSection = Field(default_factory=SlurmSection)
    poll: PollSection = Field(default_factory=PollSection)
    steps: StepsSection = Field(default_factory=StepsSection)
    store: StoreSection = Field(default_factory=StoreSection)
    archive: ArchiveSection = Field(default_factory=ArchiveSection)
    sinks: dict[str, SerializeAsAny[BaseModel]] = {}
    metrics: MetricsSection = Field(default_factory=MetricsSection)
    web: WebSection = Field(default_factory=WebSection)
    log: LogSection = Field(default_factory=LogSection)
    report: ReportSection = Field(default_factory=ReportSection)

    @property
    def finished_seconds(self) -> int:
        """How long after its end a day is finished: its last second was read for the last time by then."""
        return max(self.poll.reread, default=0) + self.poll.slice


DEFAULT_SINKS: Mapping[str, Mapping[str, Any]] = {
    "jobs": {"type": "jsonl", "path": "/var/log/slurmwatchd/jobs.jsonl"}
}
"""The sinks where the configuration names none."""
