"""The section `[metrics]`: which labels the metrics of ended jobs have, and what else `/metrics` has by choice."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from slurmwatchd.config.units import split_pairs, split_texts
from slurmwatchd.model.job_metrics import BY_FULL_NAME, CHOICE, LabelChoice


def _split_labels(value: Any) -> Any:  # noqa: ANN401 - whatever stands in the file
    """Read `NAME=partition+qos` from an environment variable as a table of lists; a table stays one."""
    pairs = split_pairs(value)
    if not isinstance(pairs, dict):
        return pairs
    return {
        name: labels.replace("+", " ").split() if isinstance(labels, str) else labels
        for name, labels in pairs.items()
    }


Labels = Annotated[tuple[str, ...], BeforeValidator(split_texts)]


class MetricsSection(BaseModel):
    """The metrics of ended jobs on `/metrics`. A reload applies changes with the next event."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    labels: Labels = ("partition",)
    """The labels of the metrics of ended jobs beside `slurm_cluster`: any of `partition`, `account`, `user`,
    `qos`. Empty: none of them. See [Metrics](metrics.md#labels)."""
    family_labels: Annotated[dict[str, tuple[str, ...]], BeforeValidator(_split_labels)] = {}
    """Other labels for some metrics: `{ slurmwatchd_job_wait_seconds = ["partition", "qos"] }`. In the variable,
    join the labels with `+`: `slurmwatchd_job_wait_seconds=partition+qos`."""
    family_limits: Annotated[dict[str, Annotated[int, Field(ge=1, le=100_000)]], BeforeValidator(split_pairs)] = {}
    """For some metrics another limit than the sink's `max_label_sets`:
    `{ slurmwatchd_jobs_ended_total = 5000 }`."""

    exemplars: bool = False
    """Whether the buckets of elapsed time and of waits show the job that was observed last, to scrapers that ask
    for OpenMetrics (Prometheus with `--enable-feature=exemplar-storage`)."""
    suspect_nodes: int = Field(10, ge=0, le=1000)
    """How many of the nodes whose failures cannot be chance stand on `/metrics`, the worst first; see
    [`nodes --suspect`](commands.md). `0`: none, and the daemon does not look for them."""

    @field_validator("labels")
    @classmethod
    def _known_labels(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _checked(value)

    @field_validator("family_labels")
    @classmethod
    def _known_family_labels(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name, labels in value.items():
            _must_be_a_family(name)
            if not BY_FULL_NAME[name].by_choice:
                raise ValueError(f"{name} has slurm_cluster alone: its labels cannot be chosen")
            _checked(labels)
        return value

    @field_validator("family_limits")
    @classmethod
    def _known_family_limits(cls, value: dict[str, int]) -> dict[str, int]:
        for name in value:
            _must_be_a_family(name)
        return value

    def choice(self) -> LabelChoice:
        """Return which labels families have."""
        return LabelChoice(
            labels=self.labels,
            families={BY_FULL_NAME[name].name: labels for name, labels in self.family_labels.items()},
            limits={BY_FULL_NAME[name].name: limit for name, limit in self.family_limits.items()},
        )


def _checked(labels: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := [label for label in labels if label not in CHOICE]:
        raise ValueError(f"{', '.join(unknown)}: not one of {', '.join(CHOICE)}")
    return tuple(dict.fromkeys(labels))


def _must_be_a_family(name: str) -> None:
    if name not in BY_FULL_NAME:
        raise ValueError(f"{name}: no metric of ended jobs has this name; the page on metrics lists them")
