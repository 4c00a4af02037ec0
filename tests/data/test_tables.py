import os

import pytest

from tfp_priors.data.tables import read_table
from tfp_priors.errors import UserError


def read(path, content):
    path.write_bytes(content)
    header, rows = read_table(path)
    return header, list(rows)


def test_rows_and_where_they_are(tmp_path):
    path = tmp_path / "table.csv"
    content = '\ufefffile , a\r\n\r\n"x, y",1\r\n"two\nlines",0\r\nz\u0085,1'
    assert read(path, content.encode()) == (
        ["file", "a"],
        [
            (f"line 3 of {path}", ["x, y", "1"]),
            (f"line 5 of {path}", ["two\nlines", "0"]),
            (f"line 6 of {path}", ["z\u0085", "1"]),
        ],
    )


def test_bytes_stay_as_in_names_of_files(tmp_path):
    _, ((_, (name, _)),) = read(tmp_path / "table.csv", b"file,a\n\xe9.png,1\n")
    assert os.fsencode(name) == b"\xe9.png"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"file,a\nx\n", "Expected 2 values, .* received 1 in line 2 of .*table.csv"),
        ("file,a".encode("utf-16"), "table.csv is no text in UTF-8: save it as such"),
        (b"file,a\n" + b"x" * 200_000 + b",1", "Line 2 of .*field larger than"),
    ],
)
def test_what_is_no_table(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path / "table.csv", content)
