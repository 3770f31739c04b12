"""What users write into names and comments arrives as they wrote it, and forges, splits and drops nothing."""

from pathlib import Path

import pytest

from tests.integration.rig import Rig
from tests.sim_truth import differences

# What the database holds, and what the event must say.
NAMES: list[tuple[bytes, str]] = [
    (b"new\nline", "new\nline"),
    (b"crlf\r\nname", "crlf\r\nname"),
    (b"evil\n999999|root|COMPLETED|0:0|", "evil\n999999|root|COMPLETED|0:0|"),
    (b"\n\n\n", "\n\n\n"),
    (b"pipe|pipe", "pipe|pipe"),
    (b"tab\tname", "tab\tname"),
    (b"unit\x1fseparator\x1e", "unit\x1fseparator\x1e"),
    (b"\x1f" * 40, "\x1f" * 40),
    (b"\x1f0123456789abcdef\x1f", "\x1f0123456789abcdef\x1f"),
    (b"bad\xff\xfeutf8", "bad\\xff\\xfeutf8"),
    (b"\xed\xa0\x80 half a surrogate", "\\xed\\xa0\\x80 half a surrogate"),
    ("\N{GREEK SMALL LETTER PI}".encode() * 127 + b"\xcf", "\N{GREEK SMALL LETTER PI}" * 127 + "\\xcf"),
    (b'{"id":"forged"}', '{"id":"forged"}'),
    (b'","state":"COMPLETED', '","state":"COMPLETED'),
    (b"\\", "\\"),
    (b"\\u0000\\n", "\\u0000\\n"),
    (b"<script>alert(1)</script>", "<script>alert(1)</script>"),
    (b"\x1b[31mred\x1b[0m\x07\x08", "\x1b[31mred\x1b[0m\x07\x08"),
    (" \u2028\u2029\u202e ".encode(), " \u2028\u2029\u202e "),
    (b" leading and trailing ", " leading and trailing "),
    (b"null", "null"),
    (b"Unknown", "Unknown"),
    (b"None assigned", "None assigned"),
    (b"error: fatal:", "error: fatal:"),
]


def _write_all(rig: Rig) -> dict[int, str]:
    """A job for each name, with the same text in everything else a user can write; returns id to name."""
    written = {}
    for stored, said in NAMES:
        key = rig.ended(
            10, job_name=stored, comment=stored, work_dir=b"/home/" + stored, submit_line=b"sbatch " + stored
        )
        written[key.id_job] = said
    return written


@pytest.mark.parametrize("version", ["20.11.9", "22.05.8", "26.05.5"])
async def test_hostile_text_arrives_as_it_is(tmp_path: Path, version: str) -> None:
    with Rig(tmp_path, version=version) as rig:
        said = _write_all(rig)
        await rig.once()
        records = rig.records()
        assert {record["job_id_raw"]: record["name"] for record in records} == said
        assert {record["job_id_raw"]: record["comment"] for record in records} == said
        assert {record["job_id_raw"]: record["work_dir"] for record in records} == {
            number: f"/home/{name}" for number, name in said.items()
        }
        assert differences(rig.cluster, records) == []
        assert len({record["id"] for record in records}) == len(NAMES)


async def test_hostile_text_is_one_line_of_the_file_each(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        _write_all(rig)
        await rig.once()
        text = rig.file.read_bytes()
        assert text.count(b"\n") == len(NAMES)
        # Control characters are escaped, so that no reader's idea of a line end is met inside a record.
        assert not set(text) & (set(range(0x20)) - {ord("\n")})
        text.decode("utf-8", errors="strict")


async def test_hostile_text_read_again_makes_no_revision(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        _write_all(rig)
        for _ in range(3):
            await rig.once()
            rig.move(200)
        assert {record["event"] for record in rig.records()} == {"job_ended"}
        assert len(rig.records()) == len(NAMES)


async def test_hostile_partitions_and_accounts_do_not_break_the_metrics(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        for number, text in enumerate((b'p"x', b"p\nx", b"p\\x", b'p"} 1\nforged_total 9\n#')):
            rig.ended(10 + number, partition=text, account=text)
        async with rig.daemon() as daemon:
            await daemon.once()
            found = {
                sample.labels["partition"]: sample.value
                for family in daemon.metrics.registry.collect()
                for sample in family.samples
                if sample.name == "slurmwatchd_jobs_ended_total"
            }
        assert found == {'p"x': 1, "p\nx": 1, "p\\x": 1, 'p"} 1\nforged_total 9\n#': 1}
        assert differences(rig.cluster, rig.records()) == []
