"""Log lines: one JSON object each, whoever writes them, and no secret in any."""

import base64
import json
import subprocess
import sys
import textwrap

import pytest

from prow_async.adapters.logs import Censor


def logged(program: str) -> list[dict[str, object]]:
    """Run a program with logs set up in a process of its own, since they are a whole process's; read its lines."""
    opening = """
        import logging, warnings, structlog
        from prow_async.adapters import logs
        censor = logs.Censor()
        logs.set_up("hook", censor, level=LEVEL)
        log = structlog.get_logger()
        """
    code = "LEVEL = 'info'\n" + textwrap.dedent(opening) + textwrap.dedent(program)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_lines_have_upstreams_fields_and_what_is_bound() -> None:
    found = logged(
        """
        structlog.contextvars.bind_contextvars(prowjob="a-job")
        log.info("hello", **{"event-GUID": "g"}, count=3)
        log.debug("not shown")
        logging.getLogger("a.library").warning("careful: %s", "wet", extra={"where": "floor"})
        logging.getLogger("a.library").debug("not shown")
        warnings.warn("old ways")
        log.error("odd", component="x", value={1: object}, text="\\ud800")
        """
    )
    assert [line["msg"] for line in found[:2]] == ["hello", "careful: wet"]
    first, second, third, fourth = found
    assert first | {"time": ""} == {
        "component": "hook",
        "msg": "hello",
        "severity": "info",
        "time": "",
        "prowjob": "a-job",
        "event-GUID": "g",
        "count": 3,
    }
    assert str(first["time"])[10] == "T"
    assert len(str(first["time"])) == len("2026-01-02T03:04:05.678Z")
    assert (second["severity"], second["logger"], second["where"]) == ("warning", "a.library", "floor")
    assert "old ways" in str(third["msg"])
    assert (fourth["component"], fourth["fields.component"], fourth["severity"]) == ("hook", "x", "error")


def test_secrets_are_starred_out_also_in_libraries_lines_and_tracebacks() -> None:
    found = logged(
        """
        censor.add([b'pass"word\\n'])
        log.info('the pass"word is out', token='pass"word')
        logging.getLogger("lib").error('a pass"word')
        try:
            raise ValueError('pass"word')
        except ValueError as error:
            log.error("failed", exc_info=error)
        """
    )
    assert found[0]["msg"] == "the CENSORED is out"
    assert found[0]["token"] == "CENSORED"
    assert found[1]["msg"] == "a CENSORED"
    assert "ValueError: CENSORED" in str(found[2]["exception"])


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"x s3cret y", b"x CENSORED y"),
        (base64.b64encode(b"s3cret"), b"CENSORED"),
        (b"abc is short", b"abc is short"),
        (b"nothing", b"nothing"),
    ],
)
def test_forms_of_a_secret(line: bytes, shown: bytes) -> None:
    censor = Censor()
    censor.add([b"s3cret\n", b"abc", b""])
    assert censor(line) == shown
