"""Cursors: they lead back to their place, and show nothing of it."""

import base64

import pytest

from slurmwatchd.daemon.web.api.cursors import Sealer

KEY = bytes(range(32))
PLACES = [(None, 7), (1_795_400_000, 12), (0.25, 1), (-5, 9), (0, 2**63 - 1), (1e300, 3)]


@pytest.mark.parametrize("place", PLACES)
def test_a_cursor_leads_back_to_its_place(place: tuple[float | None, int]) -> None:
    assert Sealer(KEY).open(b"e", Sealer(KEY).seal(b"e", place)) == place


def test_a_cursor_is_good_for_its_own_kind_and_its_own_store() -> None:
    cursor = Sealer(KEY).seal(b"e", (1, 2))
    with pytest.raises(ValueError, match="is a cursor of another question"):
        Sealer(KEY).open(b"s", cursor)
    with pytest.raises(ValueError, match="is not a cursor of this daemon"):
        Sealer(bytes(32)).open(b"e", cursor)


def test_what_was_changed_anywhere_is_refused() -> None:
    cursor = Sealer(KEY).seal(b"e", (1, 2))
    data = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    for place in range(len(data)):
        changed = bytes(data[:place]) + bytes([data[place] ^ 1]) + bytes(data[place + 1 :])
        with pytest.raises(ValueError, match="is not a cursor"):
            Sealer(KEY).open(b"e", base64.urlsafe_b64encode(changed).decode().rstrip("="))


@pytest.mark.parametrize("text", ["", "x", "12", "aaaa", "\u00e9", "=" * 50, "A" * 100, "A" * 44])
def test_what_was_never_a_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a cursor"):
        Sealer(KEY).open(b"e", text)


def test_neighbouring_places_have_nothing_in_common_and_one_place_need_not_look_alike() -> None:
    sealer = Sealer(KEY)
    one, next_one = sealer.seal(b"e", (0, 100)), sealer.seal(b"e", (0, 101))
    assert sum(a == b for a, b in zip(one, next_one, strict=True)) < len(one) // 4
    assert sealer.seal(b"e", (0, 100)) == one
    unlike = {sealer.seal(b"e", (0, 100), unlike=True) for _ in range(20)}
    assert len(unlike) == 20
    assert {sealer.open(b"e", cursor) for cursor in unlike} == {(0, 100)}
