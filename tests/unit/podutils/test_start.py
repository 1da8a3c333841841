"""Logs and the start of the programs in a job's pod."""

import base64
import io
import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from prow_async.api.errors import CannotStart
from prow_async.core import podflags
from prow_async.core.goflags import Flag
from prow_async.podutils import logs, options

HEAVY = {"asyncio", "anyio", "aiohttp", "kubernetes_asyncio", "structlog", "dataclasses", "logging"}


class Options(msgspec.Struct):
    name: str


PROGRAM = podflags.Program(
    name="greeter", variable="GREETER_OPTIONS", flags=(podflags.pod_flag(Flag("name", "str", "nobody", "whom")),)
)


def mistake_in(wanted: Options) -> str:
    return "" if wanted.name else "nobody cannot be greeted"


def started(argv: list[str], environ: dict[str, str]) -> tuple[int, list[dict[str, str]], list[str]]:
    out, greeted = io.BytesIO(), []
    log = logs.Log("greeter", out)

    def work() -> int:
        greeted.append(options.read(PROGRAM, Options, argv, environ, mistake_in).name)
        return 3

    code = options.start(log, work)
    return code, [json.loads(line) for line in out.getvalue().splitlines()], greeted


def test_the_works_code_is_the_programs() -> None:
    assert started([], {"GREETER_OPTIONS": '{"name": "ann"}'}) == (3, [], ["ann"])


def test_options_that_cannot_be_worked_with_are_told_as_upstream_does() -> None:
    code, (line,), greeted = started(["--name="], {})
    assert (code, line["level"], line["msg"], greeted) == (1, "fatal", "Invalid options: nobody cannot be greeted", [])


def test_bad_options_end_in_one_fatal_line_and_code_1() -> None:
    code, lines, greeted = started([], {"GREETER_OPTIONS": "{"})
    assert (code, greeted) == (1, [])
    assert [(line["component"], line["level"]) for line in lines] == [("greeter", "fatal")]
    assert "GREETER_OPTIONS is not JSON" in lines[0]["msg"]


def test_help_lists_the_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert started(["--help"], {})[0] == 0
    assert "--name" in capsys.readouterr().out


def test_a_line_has_logrus_keys_and_its_own() -> None:
    out = io.BytesIO()
    log = logs.Log("x", out)
    log.warning("two\nlines", level="mine", error=CannotStart("why"), path=Path("a"), odd="\udcff")
    line = json.loads(out.getvalue())
    assert out.getvalue().count(b"\n") == 1
    assert {key: line[key] for key in line if key != "time"} == {
        "component": "x",
        "level": "warning",
        "msg": "two\nlines",
        "fields.level": "mine",
        "error": "why",
        "path": "a",
        "odd": "?",
    }
    assert list(line) == sorted(line)


def test_secrets_are_taken_out_in_every_form() -> None:
    out = io.BytesIO()
    log = logs.Log("x", out)
    log.censor.add(['to"ken-1\n', "abc"])
    log.info('plain to"ken-1', b64=base64.b64encode(b'to"ken-1').decode(), short="abc")
    text = out.getvalue().decode()
    assert json.loads(text)["msg"] == "plain CENSORED"
    assert json.loads(text)["b64"] == "CENSORED"
    assert json.loads(text)["short"] == "abc"


def test_a_second_place_gets_the_same_lines_and_a_broken_one_stops_nothing() -> None:
    first, broken, last = io.BytesIO(), io.BytesIO(), io.BytesIO()
    log = logs.Log("x", first)
    log.info("before")
    broken.close()
    log.also(broken)
    log.also(last)
    log.info("after")
    assert first.getvalue().endswith(last.getvalue())
    assert json.loads(last.getvalue())["msg"] == "after"


def test_the_start_imports_nothing_heavy() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import sys, prow_async.podutils.options; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not HEAVY & set(said)
