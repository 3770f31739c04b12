"""What an error tells a person, and what its class decides."""

import pytest

from slurmwatchd import errors
from slurmwatchd.errors import (
    CommandError,
    ConfigError,
    FatalError,
    ListenError,
    NodelistError,
    SacctError,
    SacctNotFoundError,
    SacctOutputError,
    SacctTimeoutError,
    SacctTooWideError,
    ScontrolError,
    SinkError,
    SlurmNotFoundError,
    SlurmwatchError,
    StoreBusyError,
    StoreError,
    TransientError,
    first_cause,
)


def test_a_failed_command_is_told_in_one_line() -> None:
    error = SacctError(
        "sacct failed",
        argv=["/usr/bin/sacct", "-a"],
        returncode=1,
        stderr="sacct: error: Connection refused\n\n  sacct: error: Problem talking to the database\n",
    )
    assert str(error) == (
        "sacct failed (exit status 1): sacct: error: Connection refused / "
        "sacct: error: Problem talking to the database"
    )
    assert error.argv == ("/usr/bin/sacct", "-a")


def test_a_command_that_never_ended_and_said_nothing_is_told_by_its_reason_alone() -> None:
    assert str(SacctTimeoutError("sacct gave no complete answer in 300 s")) == (
        "sacct gave no complete answer in 300 s"
    )


def test_a_signal_is_shown_as_the_negative_status_it_is() -> None:
    assert str(ScontrolError("scontrol was killed", returncode=-9)) == "scontrol was killed (exit status -9)"


@pytest.mark.parametrize(
    "kind",
    [
        CommandError, SacctError, SacctTimeoutError, SacctTooWideError, SacctOutputError, ScontrolError,
        StoreBusyError, SinkError,
    ],
)  # fmt: skip
def test_what_may_heal_is_tried_again(kind: type[SlurmwatchError]) -> None:
    assert issubclass(kind, TransientError)
    assert not issubclass(kind, FatalError)


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [(ConfigError, 78), (StoreError, 1), (ListenError, 1), (SlurmNotFoundError, 1), (SacctNotFoundError, 1)],
)
def test_what_cannot_heal_stops_with_its_exit_code(kind: type[FatalError], exit_code: int) -> None:
    assert kind.exit_code == exit_code
    assert not issubclass(kind, TransientError)


def test_a_bad_node_list_neither_stops_nor_retries_anything() -> None:
    error = NodelistError("n[1-", "is not a node list")
    assert str(error) == "node list 'n[1-': is not a node list"
    assert not isinstance(error, TransientError | FatalError)


def test_every_fault_of_a_configuration_has_its_line() -> None:
    error = ConfigError(["a.toml: poll.slice: too short", "environment: web.listen: no port"])
    assert str(error) == "a.toml: poll.slice: too short\nenvironment: web.listen: no port"
    assert error.faults == ("a.toml: poll.slice: too short", "environment: web.listen: no port")


def test_every_error_raised_on_purpose_has_the_one_root() -> None:
    kinds = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, BaseException) and value.__module__ == errors.__name__
    ]
    assert len(kinds) >= 16
    assert all(issubclass(kind, SlurmwatchError) for kind in kinds)


def test_the_tree_at_the_top_of_the_module_names_every_policy() -> None:
    drawn = errors.__doc__ or ""
    for kind in (SacctTooWideError, SacctOutputError, ScontrolError, StoreBusyError, SinkError, NodelistError):
        assert kind.__name__ in drawn


def test_the_first_cause_is_found_inside_nested_groups() -> None:
    cause = SinkError("disk full")
    group = BaseExceptionGroup("outer", [BaseExceptionGroup("inner", [cause, ValueError("later")])])
    assert first_cause(group) is cause
    assert first_cause(cause) is cause
