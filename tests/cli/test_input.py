"""Where texts come from: arguments, files, standard input; three formats; what is refused with which line."""

import json
import os
import pty
import subprocess

import pytest
from conftest import BINARY, environment, expect


@pytest.fixture
def ids(inlay, tiny):
    """ids(*args, stdin=...) -> list of ids a text: what was read shows in the tokens."""

    def run(*args, **more):
        result = inlay("tokens", "-m", tiny, *args, **more)
        assert result.code == 0, result.err
        assert [line["index"] for line in result.json] == list(range(len(result.json)))
        return [line["ids"] for line in result.json]

    return run


def write(name, content):
    with open(name, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    return name


def test_arguments_files_and_standard_input_are_the_same(ids):
    expected = ids("a b", "", "c")
    assert ids("-i", write("t.txt", "a b\n\nc\n")) == expected
    assert ids("-i", write("t.txt", "a b\r\n\r\nc")) == expected
    assert ids("-i", write("t.txt", "\ufeffa b\n\nc\n")) == expected
    assert ids(stdin="a b\n\nc\n") == expected
    assert ids("-i", "-", stdin="a b\n\nc") == expected
    assert ids("-i", write("t.jsonl", '"a b"\n{"text":""}\n{"n":1,"text":"c"}\n')) == expected
    assert ids("-i", write("t.csv", 'n,text\r\n1,a b\r\n2,\r\n3,"c"\r\n')) == expected
    assert ids("-i", write("t.data", "body\na b\n\nc\n"), "--input-format", "csv", "--field", "body") == expected
    assert ids("-i", write("t.data", '{"b":"a b"}\n""\n"c"\n'), "--input-format=jsonl", "--field=b") == expected
    assert ids("--input-format", "jsonl", stdin='"a b"\n""\n"c"') == expected


def test_texts_with_newlines_quotes_and_escapes(ids):
    expected = ids("a\nb", 'say "hi", you')
    assert ids("-i", write("t.jsonl", '"a\\nb"\n"say \\"hi\\", you"\n')) == expected
    assert ids("-i", write("t.csv", 'text\n"a\nb"\n"say ""hi"", you"\n')) == expected
    assert ids("-i", write("nul.jsonl", '"a\\u0000b"\n'))


def test_arguments_are_taken_as_they_are(ids, inlay, tiny):
    assert ids("[a, b]") == ids(stdin="[a, b]")
    assert ids("--", "-x", "--help", "--", "-") == ids(stdin="-x\n--help\n--\n-")
    assert ids("-") == ids(stdin="-")
    assert ids("embed", "model", "list") == ids(stdin="embed\nmodel\nlist")
    assert ids("a", "--quiet", "b") == ids("a", "b")
    assert len(ids(*["x"] * 5000)) == 5000
    expect(inlay("tokens", "-m", tiny, "-x"), 2, "-x", "--")
    expect(inlay("tokens", "-m", tiny, b"ok", b"\xff"), 65, "argument 2", "UTF-8")


def test_no_texts(inlay, tiny):
    for content in ("", "\ufeff"):
        assert inlay("tokens", "-m", tiny, stdin=content).out == b""
        for name in ("t.txt", "t.jsonl", "t.csv"):
            result = inlay("tokens", "-m", tiny, "-i", write(name, content))
            assert (result.code, result.out) == (0, b"")


def test_arguments_together_with_a_file(inlay, tiny):
    expect(inlay("tokens", "-m", tiny, "a", "-i", write("t.txt", "b\n")), 2, "--input")
    expect(inlay("embed", "-m", tiny, "a", "-i", "-"), 2, "--input")


def test_a_terminal_as_standard_input(tiny):
    master, slave = pty.openpty()
    try:
        done = subprocess.run(
            [BINARY, "embed", "-m", tiny], stdin=slave, capture_output=True, timeout=60, env=environment()
        )
    finally:
        os.close(master)
        os.close(slave)
    assert done.returncode == 2 and b"terminal" in done.stderr and done.stdout == b""


def test_missing_and_unreadable_files(inlay, tiny):
    expect(inlay("embed", "-m", tiny, "-i", "no/such.txt"), 66, "no/such.txt")
    os.mkdir("folder")
    expect(inlay("embed", "-m", tiny, "-i", "folder"), 65, "folder")
    closed = subprocess.run(
        ["sh", "-c", f'"{BINARY}" embed -m "{tiny}" <&-'], capture_output=True, timeout=60, env=environment()
    )
    assert closed.returncode in (65, 66) and closed.stdout == b""


BAD = [
    ("t.txt", b"ok\n\xff\n", 2),
    ("t.txt", b"ok\nok\ncut \xe4\xbd", 3),
    ("t.txt", b"\xff\xfea\0\n\0", 1),
    ("t.txt", b"ok\nnul \0\n", 2),
    ("t.csv", b"text\nok\nnul \0\n", 3),
    ("t.csv", b'text\nok\n"a\nb\xff"\n', 4),
    ("t.csv", b'text\nok\n"never closed\n\n', 3),
    ("t.csv", b"a,text\nok\n", 2),
    ("t.csv", b"a,b\n1,2\n", 1),
    ("t.jsonl", b'"ok"\n"\\ud800"\n', 2),
    ("t.jsonl", b'"ok"\n"\\udc00\\ud800"\n', 2),
    ("t.jsonl", b'"ok"\n\n{"text":1}\n', 3),
    ("t.jsonl", b'"ok"\n{"body":"a"}\n', 2),
    ("t.jsonl", b'"ok"\n["a"]\n', 2),
    ("t.jsonl", b'"ok"\nplain\n', 2),
    ("t.jsonl", b'"ok"\n"\xff"\n', 2),
    ("t.jsonl", b'"ok"\n"a\0b"\n', 2),
    ("t.jsonl", b'"ok"\n{"x":1e400,"text":"a"}\n', 2),
    ("t.jsonl", b'"ok"\n{"text":"a","text":"b"}\n', 2),
    ("t.jsonl", b'"ok"\n' + b"[" * 1_000_000 + b"\n", 2),
    ("t.jsonl", b'{"text":' + b'{"a":' * 1_000_000 + b"1" + b"}" * 1_000_001 + b"\n", 1),
]


@pytest.mark.parametrize(("name", "content", "line"), BAD, ids=range(len(BAD)))
def test_bad_input_names_the_line(inlay, tiny, name, content, line):
    result = inlay("embed", "-m", tiny, "-i", write(name, content), "-o", "out.jsonl")
    expect(result, 65, f"[{name} line {line}")
    assert sorted(os.listdir()) == [name]


def test_a_line_s_length_is_bounded_and_the_bound_is_a_flag(inlay, tiny):
    long = write("long.txt", b"ok\n" + b"x" * 2000)
    expect(inlay("tokens", "-m", tiny, "-i", long, "--max-line", "1999"), 65, "long.txt line 2", "--max-line", "1999")
    assert inlay("tokens", "-m", tiny, "-i", long, "--max-line", "2000").code == 0
    expect(inlay("tokens", "-m", tiny, stdin=b"y" * (17 << 20)), 65, "standard input line 1", str(16 << 20))


def test_many_elements_in_a_line(inlay, tiny):
    wide = '{"text":"a","x":[' + ",".join("0" * 1_000_000) + "]}\n"
    assert len(inlay("tokens", "-m", tiny, "-i", write("t.jsonl", wide)).json) == 1


def test_input_of_many_requests_keeps_its_order(inlay, tiny):
    texts = [f"number {i}" for i in range(5000)]
    write("t.jsonl", "".join(json.dumps(text) + "\n" for text in texts))
    embedded = inlay("embed", "-m", tiny, "-i", "t.jsonl")
    assert [line["index"] for line in embedded.json] == list(range(5000))
    tokens = [line["tokens"] for line in inlay("tokens", "-m", tiny, "-i", "t.jsonl").json]
    assert [line["tokens"] for line in embedded.json] == tokens
