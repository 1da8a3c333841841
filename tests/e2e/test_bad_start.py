"""What cannot start says so in one clear line and exits 2; a configuration that does not load tells all and exits 1."""

import socket
from pathlib import Path

import pytest

from tests.e2e import program

pytestmark = pytest.mark.slow
GOOD = "prowjob_namespace: default\n"


def test_no_command_and_unknown_command() -> None:
    assert program.run().returncode == 2
    done = program.run("hok")
    assert (done.returncode, done.stderr) == (2, "prow-async: no such command: hok (see prow-async --help)\n")
    assert program.run("--help").returncode == 0


FREE = ("--metrics-port=0", "--health-port=0")


@pytest.mark.parametrize("command", ["hook", "controller-manager", "crier", "sinker", "horologium", "up"])
def test_every_component_has_help_and_refuses_what_it_does_not_know(command: str) -> None:
    asked = program.run(command, "--help")
    assert asked.returncode == 0
    assert "--config-path" in asked.stdout
    wrong = program.run(command, "--no-such-flag")
    assert wrong.returncode == 2
    assert "no such flag: --no-such-flag" in wrong.stderr
    assert len(wrong.stderr.splitlines()) == 1


def test_broken_configuration_tells_every_problem_with_file_and_line(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(GOOD)
    jobs = tmp_path / "jobs.yaml"
    jobs.write_text(
        "periodics:\n- name: bad name\n  interval: 1h\n  spec: {containers: [{image: x}]}\n"
        "- name: two\n  interval: 1h\n  cron: '* * * * *'\n  spec: {containers: [{image: x}]}\n"
        "- name: three\n  interval: soon\n  spec: {containers: [{image: x}]}\n"
    )
    done = program.run("up", f"--config-path={config}", f"--job-config-path={jobs}", "--port=0")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    told = [line.removeprefix(f"{jobs}:") for line in done.stderr.splitlines() if line.startswith(f"{jobs}:")]
    assert [line.partition(":")[0] for line in told] == ["2", "6", "10"], done.stderr


def test_broken_yaml(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("plank:\n  a: [1\nsinker: {}\n")
    done = program.run("up", f"--config-path={config}", "--port=0")
    assert done.returncode == 1
    assert f"{config}:" in done.stderr
    assert "Traceback" not in done.stderr


def test_port_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = program.run("up", f"--port={port}")
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["hook", "--hmac-secret-file=/nowhere/hmac"], "--hmac-secret-file=/nowhere/hmac cannot be read"),
        (["hook", "--config-path=/nowhere/config.yaml"], "/nowhere/config.yaml"),
        (["crier", "--config-path={good}"], "--github-workers"),
        (["controller-manager", "--config-path={good}", "--kubeconfig=/nowhere/kube"], "/nowhere/kube"),
        (["controller-manager", "--config-path={good}", "--enable-controller=nope"], "nope"),
        (["crier", "--github-workers=1", "--config-path={good}", "--github-token-path=/nowhere/t"], "/nowhere/t"),
        (["sinker", "--dry-run=perhaps"], "dry-run"),
        (["horologium", "--config-path={good}", "--missed-slots=some"], "'some' is none of skip, latest, all"),
        (
            ["horologium", "--config-path={good}", "--timeout-listing-prowjobs=1s", *FREE],
            "not listed after 1 s (--timeout-listing-prowjobs)",
        ),
        (["sinker", "--metrics-port=high"], "metrics-port"),
        (["sinker"], "--config-path"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_is_missing_is_named(flags: list[str], said: str, tmp_path: Path) -> None:
    """One line, the flag or file in it, exit 2."""
    good, secret, kubeconfig = tmp_path / "good.yaml", tmp_path / "hmac", tmp_path / "kubeconfig"
    good.write_text(GOOD)
    secret.write_text("s3cret-for-tests")
    kubeconfig.write_text(
        '{"current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],'
        ' "clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:1"}}],'
        ' "users": [{"name": "x", "user": {}}]}'
    )
    given = [flag.format(good=good) for flag in flags]
    if flags[0] == "hook" and not any("hmac" in flag for flag in flags):
        given.append(f"--hmac-secret-file={secret}")
    done = program.run(*given, env={"KUBECONFIG": str(kubeconfig)})
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    told = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(told) == 1, done.stderr


def test_upstream_flags_parse_in_gos_syntax(tmp_path: Path) -> None:
    """Single dash, equals or space, a bare boolean; a flag of a feature that is lacking warns once and starts."""
    config = tmp_path / "config.yaml"
    config.write_text("plank: {")
    flags = ["-dry-run", "-pprof-port", "6060", "--config-path", str(config), "-kubeconfig=/x"]
    done = program.run("controller-manager", *flags)
    assert done.returncode == 1
    assert done.stderr.count("--pprof-port is accepted but has no effect") == 1
