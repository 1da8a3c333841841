"""entrypoint with real tests that behave badly."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contract import podutil_parts as parts
from tests.e2e.program import until

SECOND_NS = 1_000_000_000


def environ(folder: Path, *args: str, **more: Any) -> dict[str, str]:
    options = {
        "timeout": 60 * SECOND_NS,
        "grace_period": 30 * SECOND_NS,
        "args": args,
        "process_log": str(folder / "process-log.txt"),
        "marker_file": str(folder / "marker-file.txt"),
    }
    return {"ENTRYPOINT_OPTIONS": json.dumps(options | more)}


def bash(folder: Path, script: str, **more: Any) -> dict[str, str]:
    return environ(folder, "bash", "-c", script, **more)


def marker(folder: Path) -> str:
    return (folder / "marker-file.txt").read_text()


def log(folder: Path) -> str:
    return (folder / "process-log.txt").read_text(errors="surrogateescape")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("code", [0, 1, 3, 127, 130, 255])
def test_the_code_of_the_test_is_that_of_the_marker(tmp_path: Path, code: int) -> None:
    done = parts.run("entrypoint", bash(tmp_path, f"echo hi; exit {code}"))
    assert (done.code, marker(tmp_path)) == (code, str(code))
    assert log(tmp_path).startswith("hi\n")
    assert (f"wrapped process failed: exit status {code}" in log(tmp_path)) is (code != 0)
    assert (tmp_path / "marker-file.txt").stat().st_mode & 0o777 == 0o777
    assert sorted(os.listdir(tmp_path)) == ["marker-file.txt", "process-log.txt"]


def test_a_test_killed_from_outside_is_minus_one(tmp_path: Path) -> None:
    done = parts.run("entrypoint", bash(tmp_path, "kill -9 $$"))
    assert (done.code, marker(tmp_path)) == (255, "-1")
    assert "signal: killed" in log(tmp_path)


def test_output_goes_to_the_log_and_on_byte_by_byte(tmp_path: Path) -> None:
    data = bytes(range(256)) * 3000 + "ünï\ud7ff".encode() + b"\xff\xfe\x00"
    (tmp_path / "data").write_bytes(data)
    done = parts.run("entrypoint", bash(tmp_path, f"cat {tmp_path}/data; cat {tmp_path}/data >&2"))
    assert done.out == data * 2
    assert (tmp_path / "process-log.txt").read_bytes() == data * 2
    assert done.errors == b""


def test_the_artifact_folder_is_there_and_standard_input_empty(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    done = parts.run("entrypoint", bash(tmp_path, f"cat && test -d {folder} && echo $HELLO", artifact_dir=str(folder)))
    assert (done.code, done.out) == (0, b"\n")


def test_a_test_starts_with_no_signal_ignored_or_held_back(tmp_path: Path) -> None:
    """But for those that whoever started us had ignored, as nohup does."""
    pythons = {signal.SIGPIPE, signal.SIGXFSZ}
    handed_down = [one for one in set(signal.Signals) - pythons if signal.getsignal(one) == signal.SIG_IGN]
    ignored = sum(1 << (one - 1) for one in handed_down)
    done = parts.run("entrypoint", environ(tmp_path, "grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"))
    masks = {line.split()[0]: int(line.split()[1], 16) for line in done.out.decode().splitlines()}
    named = (1 << 31) - 1  # the C library ignores the two after these while it starts a process: they are its own
    assert {name: mask & named for name, mask in masks.items()} == {"SigBlk:": 0, "SigIgn:": ignored}


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["no-such-program"], 'exec: "no-such-program": executable file not found in $PATH'),
        (["/no/such/program"], "fork/exec /no/such/program: no such file or directory"),
        (["/etc/passwd"], "fork/exec /etc/passwd: permission denied"),
    ],
)
def test_a_test_that_cannot_start(tmp_path: Path, args: list[str], told: str) -> None:
    done = parts.run("entrypoint", environ(tmp_path, *args))
    assert (done.code, marker(tmp_path)) == (127, "127")
    assert log(tmp_path).startswith(f"could not start the process: {told}")


def test_timeout_then_grace_then_all_are_killed_also_who_walked_away(tmp_path: Path) -> None:
    script = f"""
        trap '' INT TERM
        setsid bash -c 'trap "" INT TERM; echo $$ > {tmp_path}/walked.tmp; mv {tmp_path}/walked.tmp {tmp_path}/walked
            while :; do sleep 1000; done' > /dev/null 2>&1 &
        while [ ! -e {tmp_path}/walked ]; do :; done
        while :; do sleep 1000; done
    """
    done = parts.run("entrypoint", bash(tmp_path, script, timeout=3 * SECOND_NS, grace_period=SECOND_NS // 5))
    assert (done.code, marker(tmp_path)) == (127, "127")
    assert "Process did not finish before 3s timeout" in log(tmp_path)
    assert "Process did not exit before 200ms grace period" in log(tmp_path)
    assert "process timed out" in log(tmp_path)
    assert not is_alive(int((tmp_path / "walked").read_text()))


STUBBORN = """
    trap '' INT TERM
    setsid bash -c 'trap "" INT TERM; echo $$ >> {pids}; while :; do sleep 1000; done' > /dev/null 2>&1 &
    echo $$ >> {pids}
    while [ "$(wc -l < {pids})" -lt 2 ]; do :; done
    echo > {ready}
    while :; do sleep 1000; done
"""
"""A test that nothing but a kill ends, and another that has walked away from it."""
WHO_TRIES = """
import json, os, signal, sys
from pathlib import Path
from tests.contract import podutil_parts as parts
with parts.started("entrypoint", json.loads(sys.argv[1])):
    Path(sys.argv[2]).read_bytes()
    if sys.argv[3] == "kill":
        os.killpg(0, signal.SIGKILL)
    raise SystemExit("had enough")
"""


@pytest.mark.parametrize("how", ["kill", "leave"])
def test_nothing_of_a_test_outlives_who_tries_it(tmp_path: Path, how: str) -> None:
    """Whoever runs these tests may end them at any moment: all of a test's processes go with it, whatever it traps."""
    ready, pids = parts.meeting(tmp_path, "ready"), tmp_path / "pids"
    tried = json.dumps(bash(tmp_path, STUBBORN.format(pids=pids, ready=ready), grace_period=SECOND_NS // 5))
    command = [sys.executable, "-c", WHO_TRIES, tried, str(ready), how]
    done = subprocess.run(command, cwd=parts.ROOT, start_new_session=True, capture_output=True, check=False)
    assert done.returncode == (-signal.SIGKILL if how == "kill" else 1)
    until(lambda: not any(is_alive(int(pid)) for pid in pids.read_text().split()), "all have ended")


def test_a_test_may_tidy_up_when_its_time_is_over(tmp_path: Path) -> None:
    script = "trap 'echo tidied; exit 5' INT; sleep 1000"
    done = parts.run("entrypoint", bash(tmp_path, script, timeout=3 * SECOND_NS, propagate_error_code=True))
    assert (done.code, marker(tmp_path)) == (5, "5")
    assert "tidied\n" in log(tmp_path)
    assert "Process gracefully exited before 30s grace period" in log(tmp_path)


@pytest.mark.parametrize("propagate", [False, True])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end(tmp_path: Path, number: signal.Signals, propagate: bool) -> None:
    ready = parts.meeting(tmp_path, "ready")
    script = f"trap 'exit 6' INT; trap 'exit 7' TERM; echo > {ready}; sleep 1000"
    with parts.started("entrypoint", bash(tmp_path, script, propagate_error_code=propagate)) as process:
        ready.read_bytes()
        process.send_signal(number)
        done = parts.ended(process)
    assert done.code in ({6, 7} if propagate else {130})
    assert marker(tmp_path) == str(done.code)
    name = "terminated" if number == signal.SIGTERM else "interrupt"
    assert f"Entrypoint received interrupt: {name}" in log(tmp_path)
    assert "process aborted" in log(tmp_path)


def test_what_a_test_leaves_behind_with_its_output_open_holds_up_nothing(tmp_path: Path) -> None:
    script = f"setsid sleep 1000 & echo $! > {tmp_path}/left; echo done; exit 3"
    done = parts.run("entrypoint", bash(tmp_path, script, grace_period=SECOND_NS // 5))
    assert (done.code, marker(tmp_path)) == (3, "3")
    assert log(tmp_path).startswith("done\n")
    assert not is_alive(int((tmp_path / "left").read_text()))


def test_what_a_test_leaves_behind_may_say_its_last_words(tmp_path: Path) -> None:
    go = parts.meeting(tmp_path, "go")
    with parts.started("entrypoint", bash(tmp_path, f"(cat {go}; echo late) & exit 0")) as process:
        go.write_text("go ")
        done = parts.ended(process)
    assert (done.code, done.out) == (0, b"go late\n")


def test_a_flood_costs_no_memory(tmp_path: Path) -> None:
    flooded, go = parts.meeting(tmp_path, "flooded"), parts.meeting(tmp_path, "go")
    env = bash(tmp_path, f"head -c 300000000 /dev/zero; echo > {flooded}; cat {go} > /dev/null")
    with parts.started("entrypoint", env, stdout=subprocess.DEVNULL) as process:
        flooded.read_bytes()
        most_bytes = parts.most_memory_bytes(process.pid)
        go.write_text("go")
        assert parts.ended(process).code == 0
    assert (tmp_path / "process-log.txt").stat().st_size == 300_000_000
    assert most_bytes < 40_000_000


def test_a_log_that_may_not_grow_loses_the_rest_and_nothing_else(tmp_path: Path) -> None:
    def cramped() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = parts.run("entrypoint", bash(tmp_path, "head -c 1000000 /dev/zero; exit 4"), preexec_fn=cramped)
    assert (done.code, marker(tmp_path)) == (4, "4")
    assert (tmp_path / "process-log.txt").stat().st_size == 100_000
    assert done.out.startswith(bytes(1_000_000))
    assert b"Output is missing in the process log" in done.out


def test_without_room_to_work_there_is_still_a_marker(tmp_path: Path) -> None:
    def cramped() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (7, 7))  # 0 to 2, two for signals, the log: none for another pipe

    done = parts.run("entrypoint", bash(tmp_path, "exit 4"), preexec_fn=cramped)
    assert (done.code, marker(tmp_path)) == (127, "127")
    assert "entrypoint cannot go on: OSError(24" in log(tmp_path)
    assert b"Traceback" not in done.errors


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_still_takes_the_marker(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "small", tmp_path], check=False)
    if mounted.returncode:
        pytest.skip("this root may not mount")
    try:
        done = parts.run("entrypoint", bash(tmp_path, "head -c 1000000 /dev/zero; exit 4"))
        assert (done.code, marker(tmp_path)) == (4, "4")
        assert len(done.out) > 1_000_000
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_nobody_reads_our_output_any_more(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    env = bash(tmp_path, "for i in 1 2 3; do head -c 100000 /dev/zero; done; exit 4")
    done = parts.run("entrypoint", env, stdout=writing)
    os.close(writing)
    assert (done.code, marker(tmp_path)) == (4, "4")
    assert (tmp_path / "process-log.txt").read_bytes().startswith(bytes(300_000))


def test_a_reader_that_stands_still_holds_up_the_test_but_not_its_end(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    env = bash(tmp_path, "head -c 10000000 /dev/zero", timeout=SECOND_NS, grace_period=SECOND_NS // 5)
    try:
        done = parts.run("entrypoint", env, stdout=writing)
    finally:
        os.close(reading)
        os.close(writing)
    assert (done.code, marker(tmp_path)) == (127, "127")
    assert "Process did not finish before 1s timeout" in log(tmp_path)
    assert "Output is missing in the standard output" in log(tmp_path)


@pytest.mark.parametrize(
    ("written", "ran", "code", "mark"),
    [("0", True, 0, "0"), (" 0\n", True, 0, "0"), ("1", False, 1130 & 255, "1130"), ("x", False, 127, "127")],
)
def test_a_test_waits_for_the_one_before_it(tmp_path: Path, written: str, ran: bool, code: int, mark: str) -> None:
    previous = tmp_path / "first-marker.txt"
    env = bash(tmp_path, "echo ran", previous_marker=str(previous))
    with parts.started("entrypoint", env) as process:
        assert process.poll() is None
        (tmp_path / "partial").write_text(written)
        os.replace(tmp_path / "partial", previous)
        done = parts.ended(process)
    assert (done.code, marker(tmp_path)) == (code, mark)
    assert done.out.startswith(b"ran\n") is ran
    assert ("Skipping as previous step exited 1" in log(tmp_path)) is (written == "1")


def test_told_to_end_while_waiting_for_the_one_before(tmp_path: Path) -> None:
    env = bash(tmp_path, "echo ran", previous_marker=str(tmp_path / "no" / "folder" / "yet"))
    with parts.started("entrypoint", env) as process:
        while not (tmp_path / "process-log.txt").exists():  # made once signals are taken
            os.sched_yield()
        process.send_signal(signal.SIGTERM)
        done = parts.ended(process)
    assert (done.code, marker(tmp_path)) == (127, "127")
    assert "Received interrupt terminated, cancelling..." in log(tmp_path)


def test_several_containers_run_in_order(tmp_path: Path) -> None:
    def one(name: str, script: str, before: str = "") -> dict[str, str]:
        return environ(
            tmp_path,
            *("bash", "-c", script),
            container_name=name,
            process_log=str(tmp_path / f"{name}-log.txt"),
            marker_file=str(tmp_path / f"{name}-marker.txt"),
            previous_marker=str(tmp_path / f"{before}-marker.txt") if before else "",
            always_zero=True,
        )

    order = tmp_path / "order"
    with (
        parts.started("entrypoint", one("c", f"echo c >> {order}", "b")) as third,
        parts.started("entrypoint", one("b", f"echo b >> {order}; exit 2", "a")) as second,
        parts.started("entrypoint", one("a", f"echo a >> {order}")) as first,
    ):
        assert [parts.ended(process).code for process in (first, second, third)] == [0, 0, 0]
    assert order.read_text() == "a\nb\n"
    assert [(tmp_path / f"{name}-marker.txt").read_text() for name in "abc"] == ["0", "2", "1130"]


def test_always_zero_but_not_without_a_marker(tmp_path: Path) -> None:
    assert parts.run("entrypoint", bash(tmp_path, "exit 9", always_zero=True)).code == 0
    assert marker(tmp_path) == "9"
    nowhere = bash(tmp_path, "exit 9", always_zero=True, marker_file=str(tmp_path / "no" / "marker"))
    assert parts.run("entrypoint", nowhere).code == 127


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"args": []}, "no process to wrap specified"),
        ({"always_zero": True, "propagate_error_code": True}, "cannot propagate error code and always exit zero"),
        ({"marker_file": ""}, "no marker file specified"),
        ({"process_log": ""}, "no log file specified"),
        ({"timeout": "1h"}, "ENTRYPOINT_OPTIONS cannot be used"),
    ],
)
def test_options_that_cannot_be_worked_with(tmp_path: Path, more: dict[str, Any], told: str) -> None:
    done = parts.run("entrypoint", environ(tmp_path, "true", **more))
    assert done.code == 1
    assert [line["level"] for line in done.lines()] == ["fatal"]
    assert told in done.lines()[0]["msg"]
    assert os.listdir(tmp_path) == []


def test_flags_without_the_variable(tmp_path: Path) -> None:
    flags = [f"--process-log={tmp_path}/process-log.txt", f"-marker-file={tmp_path}/marker-file.txt", "--timeout=1m"]
    done = parts.run("entrypoint", {}, *flags, "bash", "-c", "echo $0 $1", "--x", "-y")
    assert (done.code, done.out, marker(tmp_path)) == (0, b"--x -y\n", "0")


def test_the_copy_runs_from_anywhere_and_listens_to_nothing_of_the_test(tmp_path: Path) -> None:
    tool = tmp_path / "tools here" / "entrypoint"
    assert parts.run("entrypoint", {}, "--copy-mode-only", f"--copy-destination={tool}").code == 0
    for name in ("json", "signal", "msgspec", "prow_async"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong one')")
    env = bash(tmp_path, "echo $PYTHONPATH") | {"PYTHONHOME": "/nowhere", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([tool], env=os.environ | env, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tmp_path}\n".encode(), b"")


def test_the_copy_cannot_be_put_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = parts.run("entrypoint", {}, "--copy-mode-only", f"--copy-destination={tmp_path}/file/entrypoint")
    assert done.code == 1
    assert "cannot be put at" in done.lines()[0]["msg"]


def test_it_starts_without_what_it_does_not_need() -> None:
    script = "import sys; from prow_async.podutils import entrypoint; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, cwd=parts.ROOT)
    heavy = {"asyncio", "anyio", "aiohttp", "kubernetes_asyncio", "structlog", "logging", "re2", "yaml", "subprocess"}
    assert not heavy & set(loaded.stdout.decode().split())
