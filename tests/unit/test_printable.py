"""Text that users chose, fit for a terminal."""

import json

import pytest

from slurmwatchd.model.terminal_text import json_shown, shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plain name", "plain name"),
        ("Grüße 漢字 \N{SNOWMAN}", "Grüße 漢字 \N{SNOWMAN}"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("\x9b2J\x7f", r"\x9b2J\x7f"),
        ("\u202eexe.txt\u2066", r"\u202eexe.txt\u2066"),
        ("\u2028\u2029\ufeff", r"\u2028\u2029\ufeff"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_what_a_terminal_could_obey_is_shown_as_an_escape(text: str, said: str) -> None:
    assert shown(text) == said


def test_a_long_text_is_cut_to_its_width() -> None:
    assert shown("abcdef", 6) == "abcdef"
    assert shown("abcdefg", 6) == "abcde…"


def test_json_is_the_same_value_with_nothing_to_obey() -> None:
    value = "\x9b\x7f\u202e\U000e0001\x1b ok 漢"
    line = json_shown(json.dumps(value, ensure_ascii=False))
    assert line.isprintable()
    assert json.loads(line) == value
    assert json_shown('"plain 漢"') == '"plain 漢"'
