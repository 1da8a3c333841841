"""clonerefs among hostile input, hostile output, and signals."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from prow_async import cli
from prow_async.api import clonerecords, podoptions
from prow_async.api.prowjob import Pull, Refs
from prow_async.core import podenv
from prow_async.podutils import clone_run
from tests import gitrepo
from tests.contract.clonerefs_parts import NO_WAITS, Place, main_at, refs


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def fake_git(place: Place, script: str) -> None:
    """Put a program named git before the real one, which it finds as $GIT."""
    folder = place.home / "bin"
    folder.mkdir()
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    (folder / "git").write_text(f"#!/bin/sh\nGIT={real}\n{script}\n")
    (folder / "git").chmod(0o755)
    place.environ["PATH"] = f"{folder}:{place.environ['PATH']}"


def test_hostile_refs_are_refused_in_their_own_record_and_the_others_cloned(place: Place) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    marker = place.home / "marker"
    ran = place.clone(
        refs(origin, base),
        Refs("o", "x", base_ref="main", clone_uri=f"ext::sh -c touch% {marker}"),
        Refs("o", "y", base_ref=f"--upload-pack=touch {marker}", clone_uri=f"file://{origin.folder}"),
    )
    assert ran.code == 0
    errors = {record.refs.repo: record.commands[-1].error for record in ran.records[1:] if record.failed}
    assert errors["x"].startswith("address 'ext::sh -c touch% ")
    assert errors["y"].endswith("cannot be the name of a ref or commit")
    assert len(ran.records) == 4
    assert not marker.exists()


def test_a_submodule_cannot_run_a_program(place: Place) -> None:
    """Even where the environment opens what git closes by itself."""
    origin = place.origin()
    marker = place.home / "marker"
    listed = f'[submodule "sub"]\n\tpath = sub\n\turl = "ext::sh -c touch% {marker}"\n'
    tree = gitrepo.git(origin.folder, "rev-parse", f"{origin.commit({'.gitmodules': listed})}^{{tree}}")
    entries = gitrepo.git(origin.folder, "ls-tree", tree)
    made = gitrepo.git(origin.folder, "mktree", "--missing", text=f"{entries}\n160000 commit {'1' * 40}\tsub\n")
    main_at(origin, gitrepo.git(origin.folder, "commit-tree", made, "-m", "x"))
    place.environ |= {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "protocol.ext.allow",
        "GIT_CONFIG_VALUE_0": "always",
    }
    ran = place.clone(refs(origin))
    assert "a submodule cannot be fetched" in ran.error
    assert not marker.exists()


def test_the_environments_own_git_settings_hold(place: Place) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    place.environ |= {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "url.file:///.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://example.com/",
    }
    one = refs(origin, base, clone_uri=f"https://example.com{origin.folder}")
    assert place.clone(one).clone.final_sha == base


def test_another_repositorys_variables_do_not_lead_astray(place: Place) -> None:
    origin = place.origin()
    base = main_at(origin, origin.commit({"a": "1\n"}))
    place.environ |= {"GIT_DIR": str(origin.folder), "GIT_WORK_TREE": str(place.home)}
    assert place.clone(refs(origin, base)).clone.final_sha == base
    assert gitrepo.git(origin.folder, "symbolic-ref", "HEAD") == "refs/heads/main"


def test_output_that_is_no_text_is_kept_as_far_as_it_goes(place: Place) -> None:
    fake_git(place, 'printf "b\\377\\000\\033[1m\\342\\200\\250<&" >&2; exit 3')
    ran = place.clone(refs(place.origin()))
    assert ran.clone.commands[-1].output == "b\ufffd\0\x1b[1m\u2028<&"
    assert ran.error.startswith("exit status 3")
    assert len(json.loads(place.log.read_bytes())) == 2


def test_long_output_is_cut_in_the_middle(place: Place) -> None:
    fake_git(place, 'i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done; exit 1')
    ran = place.run(place.options(refs(place.origin())), clone_run.Limits(waits_s=(), output_bytes=1000))
    output = ran.clone.commands[-1].output
    assert output.startswith("line 0\nline 1\n")
    assert output.endswith("line 2998\nline 2999\n")
    assert len(output) < 1100
    whole = sum(len(f"line {number}\n") for number in range(3000))
    told = next(line for line in output.splitlines() if line.endswith("bytes left out]"))
    assert int(told[1:].split()[0]) == whole - (len(output) - len(told) - 1)


def test_a_flood_in_one_line_does_not_fill_the_memory(place: Place) -> None:
    fake_git(place, "head -c 30000000 /dev/zero | tr '\\0' x; exit 1")
    ran = place.clone(refs(place.origin()))
    assert 100_000 < len(ran.clone.commands[-1].output) < 135_000


def test_no_git_is_told(place: Place) -> None:
    folder = place.home / "bin"
    folder.mkdir()
    (folder / "mkdir").symlink_to(subprocess.run(["which", "mkdir"], capture_output=True, text=True).stdout.strip())
    place.environ["PATH"] = str(folder)
    assert place.clone(refs(place.origin())).error == "git is not there"


def test_a_folder_that_cannot_be_made_is_told(place: Place) -> None:
    place.root.write_text("a file")
    ran = place.clone(refs(place.origin()))
    assert "mkdir: cannot create directory" in ran.error


def test_a_command_that_does_not_end_is_ended(place: Place) -> None:
    fake_git(place, 'case "$1" in fetch) sleep 1000 & exec sleep 1000;; *) exec $GIT "$@";; esac')
    ran = place.run(place.options(refs(place.origin())), clone_run.Limits(waits_s=(), command_s=0.2))
    assert ran.error == "did not end within 0.2 s: main: "


def test_what_a_command_leaves_behind_is_ended_with_it(place: Place) -> None:
    alive = place.home / "alive"
    os.mkfifo(alive)
    reading = os.open(alive, os.O_RDONLY | os.O_NONBLOCK)
    fake_git(place, f'[ "$1" != init ] || {{ echo here >{alive}; sleep 1000 >{alive} & }}; exec $GIT "$@"')
    origin = place.origin()
    main_at(origin, origin.commit({"a": "1\n"}))
    assert not place.clone(refs(origin)).clone.failed
    os.set_blocking(reading, True)
    assert os.read(reading, 100) == b"here\n"
    assert os.read(reading, 100) == b""  # nobody has it open any more
    os.close(reading)


def test_records_that_cannot_be_written_are_an_error(place: Place) -> None:
    place.log.mkdir()
    origin = place.origin()
    main_at(origin, origin.commit({"a": "1\n"}))
    environ = {**place.environ, podoptions.CLONEREFS_ENV: podenv.go_json(place.options(refs(origin)))}
    done = _program(place, environ)
    assert done.returncode == 1
    assert "the clone records cannot be written to" in json.loads(done.stderr.splitlines()[-1])["msg"]


@pytest.mark.parametrize("text", ["{", '{"src_root": "/go"}', '{"refs": 1}', "null"])
def test_bad_options_end_in_one_line_and_code_1(place: Place, text: str) -> None:
    done = _program(place, {**place.environ, podoptions.CLONEREFS_ENV: text})
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["component"], line["level"]) for line in lines] == [("clonerefs", "fatal")]


def test_it_is_a_command_too(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    origin = place.origin()
    main_at(origin, origin.commit({"a": "1\n"}))
    argv = ["--src-root", str(place.root), "--log", str(place.log), "--repo", "o,r=main", "--fail"]
    assert cli.run(["clonerefs", *argv, f"--uri-prefix={place.origins}/{{{{.Org}}}}/{{{{.Repo}}}}.git"]) == 0
    assert (place.root / "src/github.com/o/r/a").exists()
    assert all(json.loads(line)["component"] == "clonerefs" for line in capfd.readouterr().err.splitlines())


def _program(place: Place, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "prow_async.podutils.clonerefs"]
    return subprocess.run(argv, env=environ, capture_output=True, text=True, cwd=os.getcwd())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_children_and_leaves_records(place: Place, number: signal.Signals) -> None:
    """One clone is amid a fetch, one waits before its next try, one has not begun."""
    ready = place.home / "ready"
    os.mkfifo(ready)
    hang = f'"fetch file://{place.origins}/o/hang.git"*) echo $$ >{ready}; sleep 1000 & exec sleep 1000;;'
    fake_git(place, f'case "$*" in {hang} fetch*) exit 1;; *) exec $GIT "$@";; esac')
    made = [refs(place.origin("o/hang")), refs(place.origin("o/wait")), refs(place.origin("o/later"))]
    options = place.options(*made, max_parallel_workers=2)
    environ = {**place.environ, podoptions.CLONEREFS_ENV: podenv.go_json(options)}
    code = "import os; from prow_async.podutils import clone_run, clonerefs, options; options.exit_with(lambda a, e: "
    code += "clonerefs.main(a, e, clone_run.Limits(waits_s=(1000.0,))))"
    process = subprocess.Popen([sys.executable, "-c", code], env=environ, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while json.loads(process.stderr.readline())["msg"] != "Retrying after sleep":
        pass
    pid = int(ready.read_text())
    process.send_signal(number)
    said = process.communicate()[1]
    assert process.returncode == 128 + number
    records = clonerecords.decode(place.log.read_bytes())
    assert {record.refs.repo: record.failed for record in records} == {
        "": False,
        "hang": True,
        "wait": True,
        "later": True,
    }
    errors = {record.refs.repo: record.commands[-1].error for record in records[1:]}
    assert set(errors.values()) == {f"stopped by {number.name}"}
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert "Clones failed" in said


def test_a_pull_request_without_a_sha_or_number_is_not_asked_for_by_option(place: Place) -> None:
    ran = place.run(place.options(refs(place.origin(), "", Pull(1, ref="--exec=x"))), NO_WAITS)
    assert "cannot be the name of a ref or commit" in ran.error
