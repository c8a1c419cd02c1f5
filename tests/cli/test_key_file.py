"""Lists of keys as suppliers send them."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.cli.key_file import read_keys
from mbusgw.store.keys import MeterKey

A, B = "0102030405060708090A0B0C0D0E0F11", "AABBCCDDEEFF00112233445566778899"
ELS, LUG = MeterKey("12345678", "ELS", bytes.fromhex(A)), MeterKey("87654321", "LUG", bytes.fromhex(B))
ANYBODYS = MeterKey("12345678", None, bytes.fromhex(A))


@pytest.mark.parametrize(
    "text",
    [
        f"meter_id,manufacturer,key\n12345678,ELS,{A}\n87654321,LUG,{B}\n",
        f"Meter ID;Manufacturer;AES-Key\r\n12345678;els;{A.lower()}\r\n87654321;lug;{B}",
        f"\ufeffSerial\tKey\tMFCT\n12345678\t{A}\tELS\n87654321\t{B}\tLUG\n",
        f"# of the supplier\n\nserial number|location|AES key|maker\n12345678|cellar|0x{A}|ELS\n87654321||{B}|LUG\n",
        f'"Zählernummer";"Hersteller";"Schlüssel"\n"12345678";"ELS";"{A}"\n"87654321";"LUG";"{B}"\n',
        f"12345678,ELS,{A}\n87654321,LUG,{B}\n",
        f"{A};12345678;ELS\n{B};87654321;LUG\n",
        f"id, key, man\n12345678, {' '.join(A[i:i+2] for i in range(0, 32, 2))}, ELS\n87654321, {B}, LUG\n",
        f'[{{"meter_id": "12345678", "manufacturer": "ELS", "key": "{A}"}},'
        f'\n {{"id": 87654321, "aes": "{B}", "man": "LUG"}}]',
        f'{{"keys": [{{"meterId":"12345678","manufacturer":"ELS","keyHex":"{A}"}},'
        f'{{"serial":"87654321","aesKey":"{B}","mfct":"LUG"}}]}}',
        f'{{"id":"12345678","man":"ELS","key":"{A}"}}\n{{"id":"87654321","man":"LUG","key":"{B}"}}\n',
    ],
)
def test_the_usual_forms_are_understood(text: str) -> None:
    for encoding in ("utf-8", "utf-16") if not text.startswith("\ufeff") else ("utf-8",):
        found = read_keys(text.encode(encoding))
        assert (list(found.keys), list(found.bad)) == ([ELS, LUG], [])


def test_umlauts_of_an_old_spreadsheet_are_understood() -> None:
    text = f"Zählernummer;Schlüssel\n12345678;{A}\n"
    assert list(read_keys(text.encode("latin-1")).keys) == [ANYBODYS]


@pytest.mark.parametrize(
    "text",
    [
        f'{{"12345678": "{A}"}}',
        f'{{\n  "meter_id": "12345678",\n  "key": "{A}"\n}}',
        f"id,key\n12345678,{A}\n12345678,{A}",
    ],
)
def test_other_forms_of_one_key(text: str) -> None:
    found = read_keys(text.encode())
    assert (list(found.keys), list(found.bad)) == ([ANYBODYS], [])


def test_leading_zeros_of_numbers_in_json_are_not_invented() -> None:
    (bad,) = read_keys(f'[{{"id": 12345, "key": "{A}"}}]'.encode()).bad
    assert "this one 5" in bad.message


def test_a_default_of_a_manufacturer_has_a_star_for_its_number() -> None:
    assert read_keys(f"id,man,key\n*,ELS,{A}\n".encode()).keys == [MeterKey("*", "ELS", bytes.fromhex(A))]


BAD = f"""id;man;key
12345678;ELS;{A}
1234567;ELS;{A}

12345678;EL;{A}
12345678;ELS;{A[:-1]}
12345678;ELS;{A[:-1]}G
12345678;ELS;
;ELS;{A}
12345678;ELS;{B}
12345678;ELS;{A};;more
x;y;z
*;;{A}
"""


def test_every_bad_line_is_named_by_its_number_and_the_good_ones_are_kept() -> None:
    found = read_keys(BAD.encode())
    assert list(found.keys) == [ELS]
    assert [(one.line, one.message) for one in found.bad] == [
        (3, 'a meter\'s number has 8 digits, this one 7: write all, in quotes ("00012345")'),
        (5, "a manufacturer is three letters, such as ELS"),
        (6, "a key is 32 hex digits; this one has 31"),
        (7, "a key is 32 hex digits (0-9, A-F); this one holds another character"),
        (8, "the key is missing"),
        (9, "the meter's number is missing"),
        (10, "the meter has another key in line 2"),
        (11, "it has 5 columns, the head 3"),
        (12, "a meter's number has 8 digits (0-9, rarely A-F) and nothing else; a manufacturer is three letters,"
             " such as ELS; a key is 32 hex digits (0-9, A-F); this one holds another character"),
        (13, "a default key needs its manufacturer"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "there is no key in it"),
        ("id;key\n", 1, "there is no key in it"),
        (f"id;location\n12345678;{A}\n", 1, "the head names no column"),
        (f'[\n{{"id": "12345678", "key": "{A}"}},\n{{"id": \n', 3, "this is no JSON"),
        (f'[{{"id": "12345678", "key": "{A}"}}', 1, "the list is not closed"),
        ('[\n5]', 2, "this is no object"),
        ('{"id": ', 1, "this is no JSON"),
        ("[" * 5000, 1, "this is no JSON"),
        (f'{{\n"12345678": "{A}",\n"1": "{B}"}}', 3, "this one 1"),
    ],
)
def test_what_is_no_list_is_told(text: str, line: int, message: str) -> None:
    (bad,) = read_keys(text.encode()).bad
    assert bad.line == line and message in bad.message


def test_no_message_repeats_what_stands_in_the_file() -> None:
    for text in (f"id,man,key\n{A},{A},12345678\n", f'[{{"id": "{A}", "man": "{A}", "key": "{A}{A}"}}]', f"{A}\n"):
        for one in read_keys(text.encode()).bad:
            assert A not in one.message


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(content: bytes) -> None:
    found = read_keys(content)
    assert found.keys or found.bad


@given(st.text(alphabet='{}[]",:;\n1234567890abcdefkeyid\\', max_size=80))
def test_any_text_is_answered(text: str) -> None:
    found = read_keys(text.encode())
    assert found.keys or found.bad
