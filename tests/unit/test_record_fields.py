"""The one table of fields: what it says of a field becomes a column of sacct, a schema and a page."""

from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

import pytest

from slurmwatchd.model.event_fields import RECORD, STEP
from slurmwatchd.model.fields import Field, Moment, SacctField, Wire, fields_of
from slurmwatchd.sources.sacct.fields import Layout
from tests.unit.sacct_rows import FIELDS_22_05


class Example(NamedTuple):
    """One field of each kind."""

    name: Annotated[str, SacctField("Name"), "what it is called"]
    amount: int | None = None
    share: float | None = None
    whole: bool = True
    begun: Annotated[Moment | None, SacctField("Begun|Began", "moment")] = None
    ended: Annotated[int | None, Wire("time or null")] = None
    words: Sequence[str] | None = None
    texts: Mapping[str, str] | None = None
    counts: Mapping[str, int] | None = None
    amounts: Mapping[str, int | float | str] | None = None


def test_a_field_is_all_that_its_annotation_says() -> None:
    assert fields_of(Example) == (
        Field("name", "string", "what it is called", SacctField("Name", "text")),
        Field("amount", "int"),
        Field("share", "number"),
        Field("whole", "bool"),
        Field("begun", "time", "", SacctField("Begun|Began", "moment")),
        Field("ended", "time or null"),
        Field("words", "[string]"),
        Field("texts", "texts"),
        Field("counts", "counts"),
        Field("amounts", "tres"),
    )
    assert SacctField("Begun|Began", "moment").all_names == ("Begun", "Began")


def test_a_type_that_nothing_is_known_of_is_refused() -> None:
    class Unknown(NamedTuple):
        """With a field that is not on any wire."""

        odd: complex | None = None

    with pytest.raises(TypeError, match=r"odd.*complex"):
        fields_of(Unknown)


def test_what_stands_first_in_the_digests_of_every_store_stays_there() -> None:
    """Another order would make every attempt of every store look changed."""
    assert Layout(FIELDS_22_05).fields == (
        "Cluster", "JobIDRaw", "Submit", "JobID", "State", "Start", "NodeList", "ExitCode", "DerivedExitCode",
        "DBIndex", "JobName", "User", "UID", "GID", "Account", "Partition", "QOS", "Reservation", "WCKey",
        "Eligible", "End", "Reserved", "ElapsedRaw", "Suspended", "TimelimitRaw", "NNodes", "NCPUS", "ReqTRES",
        "AllocTRES", "WorkDir", "SubmitLine", "Comment", "AdminComment", "SystemComment", "Constraints", "Reason",
        "Flags", "Priority", "Container", "McsLabel", "ReservationId",
    )  # fmt: skip


def test_the_record_says_what_each_field_is() -> None:
    said = {field.name: field for field in RECORD}
    assert said["start"] == Field(
        "start", "time or null", "null if it never started", SacctField("Start", "moment")
    )
    assert said["cancelled_by_uid"].sacct == said["state"].sacct == SacctField("State", "state")
    assert (said["db_index"].kind, said["req_tres"].kind, said["licenses"].kind) == ("digits", "tres", "counts")
    assert said["raw"].sacct is None


def test_what_a_step_has_too_is_said_once() -> None:
    said = {field.name: field.text for field in STEP}
    assert said["user_cpu_seconds"] == "UserCPU"
    assert said["complete"] == "false if slurmdbd does not have its end"
