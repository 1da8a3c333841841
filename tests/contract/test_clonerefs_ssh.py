"""Cloning over SSH: keys, known hosts, and what ssh is called with.

The agent and the keys are real. Where there is no sshd to be had, a program in ssh's place notes how it is called and
runs what it is asked for on this machine.
"""

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contract.clonerefs_parts import Place, main_at, refs

pytestmark = pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="no OpenSSH client is installed")
SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
READY = SSHD is not None and (os.getuid() != 0 or Path("/run/sshd").is_dir())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def make_key(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", path], check=True)
    return path


def secret_volume(place: Place) -> Path:
    """A folder as Kubernetes mounts a Secret: links into a hidden folder, the files readable by their owner alone."""
    folder = place.home / "secrets"
    make_key(folder / "..2026_01_01/ssh-private")
    (folder / "..2026_01_01/ssh-private.pub").unlink()
    (folder / "..data").symlink_to("..2026_01_01")
    (folder / "ssh-private").symlink_to("..data/ssh-private")
    return folder


def fake_ssh(place: Place) -> Path:
    """Put a program in ssh's place; return the file where it notes its arguments, socket and the agent's keys."""
    folder, notes = place.home / "bin", place.home / "notes"
    folder.mkdir()
    (folder / "ssh").write_text(
        "#!/bin/sh\n"
        f'printf "%s\\n" "$SSH_AUTH_SOCK" "$*" "$(ssh-add -l | cut -d" " -f3)" >>{notes}\n'
        'while [ $# -gt 1 ]; do shift; done; eval "exec $1"\n'
    )
    (folder / "ssh").chmod(0o755)
    place.environ["PATH"] = f"{folder}:{place.environ['PATH']}"
    return notes


def test_ssh_is_called_with_the_agent_and_the_known_hosts(place: Place) -> None:
    notes = fake_ssh(place)
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    one = refs(origin, base, clone_uri=f"git@git.example.com:{origin.folder}")
    keys = (str(secret_volume(place)), str(make_key(place.home / "more")))
    prints = ("git.example.com ssh-ed25519 AAAA", "other ssh-rsa BBBB\n")
    ran = place.clone(one, key_files=keys, host_fingerprints=prints)
    assert not ran.clone.failed, ran.error
    sock, arguments, *added = notes.read_text().splitlines()[:4]
    assert added == ["ssh-private", "more"]
    assert arguments.startswith("-o UserKnownHostsFile=")
    assert arguments.endswith(f"git@git.example.com git-upload-pack '{origin.folder}'")
    known = arguments.split()[1].partition("=")[2]
    said = [command.command for command in ran.records[0].commands]
    assert said == [
        "ssh-agent",
        f'ssh-add "{keys[0]}/ssh-private"',
        f'ssh-add "{keys[1]}"',
        f'write "{known}"',
        "which ssh",
    ]
    assert f" SSH_AUTH_SOCK={sock} SSH_AGENT_PID=" in ran.clone.commands[1].command
    assert not Path(sock).exists()
    assert not Path(known).exists()
    assert not [path for path in place.log.parent.iterdir() if path.name.startswith("clonerefs-")]


def test_known_hosts_hold_one_key_a_line(place: Place) -> None:
    notes = fake_ssh(place)
    ssh = place.home / "bin/ssh"
    ssh.write_text(ssh.read_text().replace("while", f'f=${{2#*=}}; cat "$f" >{notes}.hosts; while', 1))
    origin = place.origin()
    main_at(origin, origin.commit({"a": "1\n"}))
    one = refs(origin, clone_uri=f"git@git.example.com:{origin.folder}")
    assert not place.clone(one, host_fingerprints=("a ssh-rsa X", "b ssh-rsa Y\n")).clone.failed
    assert Path(f"{notes}.hosts").read_text() == "a ssh-rsa X\nb ssh-rsa Y\n"


def test_a_key_that_is_none_fails_the_setup_and_nothing_is_cloned(place: Place) -> None:
    bad = place.home / "bad"
    bad.write_text("no key\n")
    bad.chmod(0o600)
    ran = place.clone(refs(place.origin()), key_files=(str(bad),))
    assert [record.failed for record in ran.records] == [True]
    assert ran.records[0].commands[-1].error == f"exit status 1: SSH key {bad} is refused"
    assert not place.root.exists()


def test_keys_that_are_not_there_are_told(place: Place) -> None:
    ran = place.clone(refs(place.origin()), key_files=(str(place.home / "none"),))
    assert "SSH keys cannot be read" in ran.records[-1].commands[-1].error


def test_no_agent_is_told(place: Place) -> None:
    place.environ["PATH"] = str(place.home)
    ran = place.clone(refs(place.origin()), key_files=(str(make_key(place.home / "k")),))
    assert "the SSH agent cannot be started" in ran.records[-1].commands[-1].error


@contextmanager
def sshd(place: Place) -> Iterator[tuple[int, str]]:
    """Run a real server that takes the key `k`; give its port and the line of its own key."""
    assert SSHD is not None
    host, key = make_key(place.home / "host"), make_key(place.home / "k")
    (place.home / "config").write_text(
        f"HostKey {host}\nAuthorizedKeysFile {key}.pub\nPasswordAuthentication no\nStrictModes no\nPidFile none\n"
        f"PermitRootLogin yes\nUsePAM no\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    server = subprocess.Popen(
        [SSHD, "-D", "-e", "-p", str(port), "-o", "ListenAddress=127.0.0.1", "-f", place.home / "config"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stderr is not None
        first = server.stderr.readline()
        assert "listening" in first, first
        yield port, f"[127.0.0.1]:{port} {(place.home / 'host.pub').read_text()}"
    finally:
        server.kill()
        server.communicate()


@pytest.mark.skipif(not READY, reason="no sshd is installed, or it lacks /run/sshd")
def test_a_real_server_is_asked_with_the_key_and_only_when_it_is_known(place: Place) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    with sshd(place) as (port, line):
        one = refs(origin, base, clone_uri=f"ssh://{getpass.getuser()}@127.0.0.1:{port}{origin.folder}")
        keys = (str(place.home / "k"),)
        ran = place.clone(one, key_files=keys, host_fingerprints=(line,))
        assert not ran.clone.failed, ran.error
        ran = place.clone(one, key_files=keys, host_fingerprints=("elsewhere " + line.partition(" ")[2],))
        assert "the SSH host's key is not known: list it in ssh_host_fingerprints" in ran.error
        (place.home / "other").mkdir()
        ran = place.clone(one, key_files=(str(make_key(place.home / "other/k")),), host_fingerprints=(line,))
        assert "the SSH host takes none of the keys that are there" in ran.error
