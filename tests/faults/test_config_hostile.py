"""Configuration made to hurt: the program refuses it by file and line, within the memory it is given, and ends."""

import gzip
import os
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from prow_async.core import gotemplate, patterns
from tests.e2e.program import PROGRAM

MEMORY_BYTES = 2 << 30
"""Address space of the program and of each of its workers; an unbounded reader of these files needs far more."""
PATIENCE_S = 100
SOUND = b"periodics: [{name: sound, interval: 1h, spec: {containers: [{image: i}]}}]\n"
JOB = "periodics:\n- name: bad\n  interval: 1h\n  spec: {{containers: [{{image: i}}]}}\n  {}\n"
PRESUBMIT = "presubmits:\n  o/r:\n  - name: bad\n    spec: {{containers: [{{image: i}}]}}\n    {}\n"


def aliases() -> bytes:
    """The billion laughs: each list is ten of the one before."""
    lists = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lists += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    return ("x-bomb:\n  " + "\n  ".join(lists) + "\n").encode()


def merges() -> bytes:
    """Mappings that take in the ones before them, twice each."""
    base = "m0: &m0 {" + ", ".join(f"k{i}: v" for i in range(1000)) + "}"
    maps = [base, *(f"m{i}: &m{i} {{<<: [*m{i - 1}, *m{i - 1}], n{i}: [*m{i - 1}]}}" for i in range(1, 40))]
    return ("x-bomb:\n  " + "\n  ".join(maps) + "\n").encode()


def job(line: str) -> bytes:
    return JOB.format(line).encode()


def presubmit(line: str) -> bytes:
    return PRESUBMIT.format(line).encode()


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "aliases": (aliases, ":6: [load] error: excessive aliasing"),
    "merges": (merges, "excessive aliasing"),
    "self": (lambda: b"a: &a [*a]\n", "an anchor contains itself"),
    "100 MB": (lambda: b"x: " + b"y" * 100_000_000, "larger than 67108864 bytes"),
    "gzip of 1 GB": (lambda: gzip.compress(bytes(1 << 20)) * 1024, "larger than 67108864 bytes"),
    "gzip cut off": (lambda: gzip.compress(SOUND)[:-9], "its gzip content is damaged"),
    "lists 10,000 deep": (lambda: b"[" * 10_000, "bad.yaml:1: [load] error: nested deeper than"),
    "mappings 10,000 deep": (
        lambda: b"".join(b" " * i + b"a:\n" for i in range(10_000)),
        ":128: [load] error: nested deeper than",
    ),
    "unknown part 10,000 deep": (
        lambda: b"x: " + b"{a: " * 10_000 + b"}" * 10_000,
        ":1: [load] error: nested deeper than",
    ),
    "many nodes": (lambda: b"x:\n" + b"- a\n" * 8_000_000, "bad.yaml:2: [load] error: has more than 1000000"),
    "many lists in one line": (
        lambda: b"x: [" + b"[]," * 4_000_000 + b"]",
        "bad.yaml:1: [load] error: has more than 1000000",
    ),
    "control characters in a name": (
        lambda: job("").replace(b"name: bad", b'name: "bad\\e[2J\\r\\nsound: ok"'),
        r"bad\x1b[2J\r\nsound: ok",
    ),
    "a regex of 10,000 parentheses": (
        lambda: presubmit(f"run_if_changed: '{'(' * 10_000}{')' * 10_000}'"),
        "bad.yaml:5: ",
    ),
    "a regex that repeats repetitions": (lambda: presubmit("run_if_changed: ((a{1,999}){1,999}){1,999}"), "bad.yaml:"),
    "a huge regex": (lambda: presubmit(f"run_if_changed: '{'[^a]' * 1_000_000}'"), "pattern too large"),
    "a huge number": (lambda: job("max_concurrency: " + "9" * 100_000), "bad.yaml:5: "),
    "a huge cron": (lambda: job("").replace(b"interval: 1h", b"cron: '" + b"*," * 1_000_000 + b"'"), "bad.yaml:"),
    "no text at all": (lambda: bytes(range(256)) * 1000, "bad.yaml:1: [load] error: not readable as YAML"),
    "UTF-16 without an end": (lambda: b"\xff\xfe" + "a: [".encode("utf-16-le") * 1000, "bad.yaml:"),
}


def checkconfig(folder: Path, main: str = "") -> subprocess.CompletedProcess[str]:
    """Run the program on a folder within MEMORY_BYTES."""
    config = folder / "config.yaml"
    config.write_text(main)
    return subprocess.run(
        [PROGRAM, "checkconfig", f"--config-path={config}", f"--job-config-path={folder / 'jobs'}"],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=PATIENCE_S,
        env={**os.environ, "XDG_CACHE_HOME": str(folder / "cache")},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES)),
        check=False,
    )


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused(tmp_path: Path, name: str) -> None:
    """It is named with its place; no traceback, and not a byte that would steer a terminal."""
    make, told = BOMBS[name]
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "bad.yaml").write_bytes(make())
    done = checkconfig(tmp_path)
    said = done.stderr + done.stdout
    assert done.returncode in {1, 2}, said[-2000:]
    assert "Traceback" not in said
    assert "bad.yaml" in said
    assert told in said
    assert all(c.isprintable() or c == "\n" for c in said)
    assert len(said) < 100_000


@pytest.mark.parametrize("name", ["aliases", "many nodes", "lists 10,000 deep", "a regex of 10,000 parentheses"])
def test_other_files_live_on(tmp_path: Path, name: str) -> None:
    """Set aside, a bomb takes only its own jobs along."""
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "bad.yaml").write_bytes(BOMBS[name][0]())
    (tmp_path / "jobs" / "sound.yaml").write_bytes(SOUND)
    (tmp_path / "config.yaml").write_text("{}\n")
    done = subprocess.run(
        [
            PROGRAM,
            "preview",
            "--quarantine-bad-config",
            f"--config-path={tmp_path / 'config.yaml'}",
            f"--job-config-path={tmp_path / 'jobs'}",
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert "sound" in done.stdout, done.stderr[-2000:]
    assert "bad.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_links_that_lead_in_circles_end(tmp_path: Path) -> None:
    """A link to itself is a file that cannot be read; one to a folder above is not followed; a pipe is not read."""
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    (jobs / "sound.yaml").write_bytes(SOUND)
    (jobs / "up").symlink_to(jobs)
    sound = checkconfig(tmp_path)
    assert sound.returncode == 0, sound.stderr
    (jobs / "loop.yaml").symlink_to(jobs / "loop.yaml")
    os.mkfifo(jobs / "pipe.yaml")
    looped = checkconfig(tmp_path)
    assert looped.returncode == 2
    assert "loop.yaml: cannot be read" in looped.stderr
    assert "pipe.yaml: cannot be read" in looped.stderr
    assert "Traceback" not in looped.stderr


def test_a_template_of_the_main_file_is_tried_within_bounds(tmp_path: Path) -> None:
    """One that would count to a billion is refused where it is written, before any job meets it."""
    (tmp_path / "jobs").mkdir()
    text = "slack_reporter_configs:\n  o:\n    report_template: '{{range 1000000000}}{{end}}'\n"
    done = checkconfig(tmp_path, main=text)
    assert done.returncode == 1
    assert "config.yaml:3: [load] error: " in done.stdout
    assert "takes more than 250000 steps" in done.stdout


TEMPLATES = {
    "calls itself": '{{define "x"}}{{template "x"}}{{template "x"}}{{end}}{{template "x"}}',
    "calls a tree": "".join(
        f'{{{{define "x{i}"}}}}{{{{template "x{i + 1}"}}}}{{{{template "x{i + 1}"}}}}{{{{end}}}}' for i in range(60)
    )
    + '{{define "x60"}}{{end}}{{template "x0"}}',
    "doubles": '{{$x := "aaaaaaaaaa"}}' + '{{$x = printf "%s%s" $x $x}}' * 60 + "{{$x}}",
    "replaces": '{{$x := "aaaaaaaaaa"}}' + '{{$x = replace "a" "aaaaaaaaaa" $x}}' * 20 + "{{$x}}",
    "escapes": '{{$x := "<<<<<<<<<<"}}' + "{{$x = html $x}}" * 2 + '{{$x = printf "%s%s%s%s" $x $x $x $x}}' * 20,
    "counts": "{{range 1000000000}}{{end}}",
    "counts in counts": "{{range 10000}}{{range 10000}}{{end}}{{end}}",
    "else if": "{{if false}}" + "{{else if false}}" * 10_000 + "{{end}}",
    "many variables": "".join(f"{{{{$a{i} := 1}}}}" for i in range(50_000)),
    "wide": '{{printf "%9999d" 1}}' * 10_000,
    "long": "x" * 20_000_000,
    "never closed": "{{/*" * 1_000_000,
    "digits": "{{" + "1" * 100_000 + "}}",
    "no character": r'{{"\UFFFFFFFF"}}',
    "half a character": r'{{"\uD800"}}',
    "no digits": "{{0x_}}",
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_that_would_not_end_is_refused(name: str) -> None:
    """By its steps, its depth and its length, when read or when executed."""
    with pytest.raises(gotemplate.TemplateError, match=r"^template: t:1: "):
        gotemplate.parse(TEMPLATES[name], "t", frozenset({"replace"})).execute({})


@pytest.mark.parametrize(
    ("pattern", "refused"),
    [
        ("(" * 10_000 + ")" * 10_000, True),
        ("(" * 1001 + ")" * 1001, True),
        ("(" * 999 + "a" + ")" * 999, False),
        ("(a)" * 5000, False),
        ("[(]" * 5000, False),
        (r"\(" * 5000, False),
        ("[](]" * 5000, False),
        (r"\Q" + "(" * 5000, False),
        (r"\Q" + "(" * 5000 + r"\E" + "(" * 1001 + ")" * 1001, True),
        ("[[:alpha:](]" * 5000, False),
        (r"[\](]" * 5000, False),
    ],
)
def test_groups_nest_as_deep_as_in_go(pattern: str, refused: bool) -> None:
    """Only what nests counts: classes, escapes and quotes do not."""
    assert (patterns.problem(pattern) is not None) is refused
