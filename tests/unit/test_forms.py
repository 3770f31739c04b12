"""How events look by a sink's options: formats, fields, TRES, pseudonyms, and the limit of a line."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from slurmwatchd.cli import cli
from slurmwatchd.errors import SinkError
from slurmwatchd.model.records import EventKind
from slurmwatchd.sinks.credentials import credential_path
from slurmwatchd.sinks.forms.form import EventForm
from slurmwatchd.sinks.forms.options import FormOptions
from slurmwatchd.sinks.forms.reading import head_of, identity_of
from tests.event_schema import closed
from tests.unit.wire_events import EVENTS, event, form_of, written

GOLDEN = Path(__file__).parents[1] / "golden"
FORMATS = ("flat", "cloudevents", "ecs", "jobcomp")
IDS = [
    "6ab448b7-93f1-5b8a-8fef-71ddef87c52d",
    "6bf35def-94f5-5cb7-a24b-13ecb2ed30f3",
    "2c2d9785-9c69-591d-85c0-279c27ccfb35",
    "4f464bc0-bec3-5e0c-8362-a1a4b960ea95",
]


def ended_of(format_: str) -> list[Any]:
    return [told for told in EVENTS if format_ != "jobcomp" or told.kind is EventKind.JOB_ENDED]


@pytest.mark.parametrize("format_", FORMATS)
def test_each_format_is_the_golden_file(format_: str) -> None:
    lines = form_of(format=format_).lines(ended_of(format_))
    assert b"".join(lines) == (GOLDEN / f"event_{format_}.jsonl").read_bytes()


@pytest.mark.parametrize("tres", ["object", "list"])
@pytest.mark.parametrize("format_", FORMATS)
def test_each_format_is_as_its_schema_says_and_has_nothing_else(format_: str, tres: str) -> None:
    done = CliRunner().invoke(cli, ["schema", "--format", format_, "--tres", tres])
    assert done.exit_code == 0
    schema = json.loads(done.output)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(closed(schema))
    lines = form_of(format=format_, tres=tres).lines(ended_of(format_))
    for line in lines:
        assert [fault.message for fault in validator.iter_errors(json.loads(line))] == []
    for required in schema["required"]:
        assert not validator.is_valid({k: v for k, v in json.loads(lines[0]).items() if k != required})


@pytest.mark.parametrize("format_", ["flat", "cloudevents", "ecs"])
def test_a_line_of_any_format_tells_which_event_it_is(format_: str) -> None:
    for line, told, identity in zip(form_of(format=format_).lines(EVENTS), EVENTS, IDS, strict=True):
        head = head_of(orjson.loads(line))
        assert identity_of(orjson.loads(line)) == identity
        assert (head["id"], head["seq"], head["revision"]) == (identity, told.seq, told.revision)
        assert (head["cluster"], head["submit"]) == ("sim", "2026-11-23T02:11:40Z")
        assert head["observed"] == f"2026-11-23T02:13:2{told.seq}Z"


def test_a_line_of_jobcomp_tells_which_attempt_it_is() -> None:
    head = head_of(orjson.loads(form_of(format="jobcomp").lines(EVENTS[:1])[0]))
    assert head == {"id": IDS[0], "cluster": "sim", "job_id_raw": 12, "submit": "2026-11-23T02:11:40Z"}


@pytest.mark.parametrize("foreign", [None, 3, [], {}, {"id": 3}, {"event": {}}, {"event": {}, "slurm": {}}])
def test_somebody_elses_line_tells_of_no_event(foreign: object) -> None:
    assert identity_of(foreign) is None


def test_tres_as_a_list_before_and_after_a_change_too() -> None:
    ended, _, revised, _ = written(tres="list")
    assert ended["req_tres"] == [
        {"type": "cpu", "count": 36},
        {"type": "mem_bytes", "count": 4_194_304_000},
        {"type": "node", "count": 2},
        {"type": "gres", "name": "gpu:a100_1g.5gb", "count": 4},
    ]
    assert revised["changed"]["alloc_tres"] == [None, [{"type": "cpu", "count": 36}]]
    assert written(tres="list", format="ecs")[0]["slurm"]["req_tres"] == ended["req_tres"]


def test_fields_are_kept_or_dropped_with_what_they_were_before_and_raw_texts() -> None:
    every = {
        "id", "event", "schema", "seq", "revision", "time", "observed", "found_by", "cluster", "job_id",
        "job_id_raw", "state", "submit", "start",
    }  # fmt: skip
    ended, usage, revised, _ = written(fields=["user", "comment"])
    assert set(ended) == every | {"user", "comment"}
    assert set(usage) == every | {"user", "comment", "usage"}
    assert revised["changed"] == {"comment": ["for Carl", "for Bob"], "state": ["TIMEOUT", "FAILED"]}
    ended, _, revised, _ = written(drop_fields=["comment", "nodes"])
    assert set(written()[0]) - set(ended) == {"comment", "nodes", "raw"}
    assert set(revised["changed"]) == {"alloc_tres", "state"}


def key_file(folder: Path, key: bytes = b"0123456789abcdef\n") -> str:
    file = folder / "key"
    file.write_bytes(key)
    return str(file)


def test_values_are_hidden_wherever_they_stand(tmp_path: Path) -> None:
    options = {
        "pseudonymise": ["user", "uid", "cancelled_by_uid", "comment"],
        "pseudonym_key_file": key_file(tmp_path),
    }
    ended, _, revised, cancelled = written(**options)

    def digest(text: str) -> bytes:
        return hmac.new(b"0123456789abcdef", text.encode(), hashlib.sha256).digest()

    assert ended["user"] == digest("user\0ann")[:8].hex()
    assert ended["uid"] == int.from_bytes(digest("uid\x001000")[:6])
    # Who cancelled it was the user, which can be seen still.
    assert cancelled["cancelled_by_uid"] == cancelled["uid"] == ended["uid"]
    assert revised["changed"]["comment"][1] == ended["comment"] == digest("comment\0for Bob")[:8].hex()
    assert "raw" not in ended
    assert written(**options) == written(**options)
    for format_ in FORMATS:
        text = b"".join(form_of(format=format_, drop_fields=["work_dir"], **options).lines(EVENTS))
        assert b"ann" not in text
        assert b"Bob" not in text
        assert b"1000" not in text.replace(b"10000000000", b"")


def test_names_are_hidden_for_a_sink_that_did_not_prepare_too(tmp_path: Path) -> None:
    given = {"type": "any", "pseudonymise": ["user"], "pseudonym_key_file": key_file(tmp_path)}
    lines = EventForm("sink", FormOptions.model_validate(given)).lines(EVENTS)
    assert lines == form_of(pseudonymise=["user"], pseudonym_key_file=key_file(tmp_path)).lines(EVENTS)
    assert not [line for line in lines if b'"user":"ann"' in line]


def test_another_key_makes_other_pseudonyms(tmp_path: Path) -> None:
    def hidden(key: bytes) -> str:
        file = key_file(tmp_path, key)
        return str(written(pseudonymise=["user"], pseudonym_key_file=file)[0]["user"])

    assert hidden(b"x" * 16) != hidden(b"y" * 16)
    assert hidden(b"x" * 16) == hidden(b"x" * 16 + b"\n")


@pytest.mark.parametrize(
    ("key", "message"), [(None, "key: cannot be read: No such file"), (b"short\n", "holds 5 bytes; at least 16")]
)
def test_a_key_that_is_none_is_an_error_that_names_option_and_file(
    key: bytes | None, message: str, tmp_path: Path
) -> None:
    file = str(tmp_path / "key") if key is None else key_file(tmp_path, key)
    with pytest.raises(SinkError, match=f"pseudonym_key_file: .*{message}"):
        form_of(pseudonymise=["user"], pseudonym_key_file=file)


def test_a_credential_of_the_unit_goes_by_its_name() -> None:
    environ = {"CREDENTIALS_DIRECTORY": "/run/credentials/slurmwatchd.service"}
    assert credential_path("pseudonyms", environ) == Path("/run/credentials/slurmwatchd.service/pseudonyms")
    assert credential_path("/etc/slurmwatchd/key", environ) == Path("/etc/slurmwatchd/key")
    assert credential_path("key", {}) == Path("key")


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("tres", ["object", "list"])
def test_no_line_is_longer_than_its_limit(format_: str, tres: str) -> None:
    nodes = [f"node{number:05}" for number in range(400)]
    long = event(
        1,
        EventKind.JOB_ENDED,
        nodes=nodes,
        work_dir="/" * 9000,
        name="ü" * 900,
        alloc_tres={"cpu": 1, "node": 400},
    )
    form = form_of(format=format_, tres=tres, max_line_bytes=6000)
    (line,) = form.lines([long])
    assert 4000 < len(line) <= 6000
    assert identity_of(orjson.loads(line)) == "6ab448b7-93f1-5b8a-8fef-71ddef87c52d"
    assert form.lines([long]) == [line]
    (told,) = form.written([long], max_bytes=4096)
    assert len(told.line) <= 4096
    if format_ != "jobcomp":
        assert told.fields["nodes_omitted"] is True
        assert "work_dir" in told.fields["truncated"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fields": ["usr"]}, "usr: there is no such field"),
        ({"drop_fields": ["state", "name"]}, "state: every event keeps it"),
        ({"fields": ["name"], "drop_fields": ["user"]}, "cannot both be given"),
        ({"pseudonymise": ["user"]}, "name its file in pseudonym_key_file"),
        ({"pseudonymise": ["cluster"], "pseudonym_key_file": "k"}, "cluster: can be hidden are account, "),
        ({"format": "xml"}, "'flat', 'cloudevents', 'ecs' or 'jobcomp'"),
        ({"format": "jobcomp", "events": ["job_usage"]}, r'must be \["job_ended"\]'),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        FormOptions.model_validate({"type": "any", **options})


def test_jobcomp_is_given_ended_jobs_only() -> None:
    options = FormOptions.model_validate({"type": "any", "format": "jobcomp"})
    assert options.selection().settings == {"events": ["job_ended"]}
