"""How the programs in a job's pod are told what to do."""

import json
from typing import Any

import pytest

from prow_async.api import podoptions
from prow_async.api.errors import CannotStart
from prow_async.core import goflags, podflags
from prow_async.core.goflags import Flag

PROGRAM = podflags.Program(
    name="sidecar",
    variable="SIDECAR_OPTIONS",
    flags=(
        podflags.pod_flag(Flag("entry-error", "bool", False, "fail when a test fails")),
        podflags.pod_flag(Flag("gcs-path", "str", "", "where to upload"), "gcs_options.bucket"),
        podflags.pod_flag(Flag("dry-run", "bool", True, "upload nothing"), "gcs_options.dry_run"),
    ),
    words="gcs_options.items",
    zero={"gcs_options": {"dry_run": False}, "censoring_options": {}},
)


def read(text: str | None, *argv: str) -> podoptions.SidecarOptions:
    return podflags.read(PROGRAM, podoptions.SidecarOptions, text, argv)


def test_without_the_variable_flags_and_their_defaults_say_everything() -> None:
    found = read(None, "-entry-error", "--gcs-path=b", "one", "two")
    assert found.entry_error
    assert found.gcs_options == podoptions.GCSUploadOptions(bucket="b", items=("one", "two"), dry_run=True)


def test_defaults_of_flags_do_not_change_the_variable() -> None:
    assert not read('{"gcs_options": {"bucket": "b", "dry_run": false}}').gcs_options.dry_run


def test_flags_that_are_given_change_the_variable() -> None:
    found = read('{"gcs_options": {"bucket": "b", "path_prefix": "p"}}', "--gcs-path", "c", "--dry-run=false")
    assert found.gcs_options == podoptions.GCSUploadOptions(bucket="c", path_prefix="p", dry_run=False)


@pytest.mark.parametrize("gone", ["{}", '{"gcs_options": null, "entries": null}', '{"gcs_options": {"dry_run": null}}'])
def test_what_the_variable_lacks_or_has_as_null_is_worth_nothing(gone: str) -> None:
    found = read(gone)
    assert (found.gcs_options, found.entries) == (podoptions.GCSUploadOptions(dry_run=False), ())


def test_null_inside_objects_of_a_list_counts_as_absent() -> None:
    entry = {"args": None, "process_log": "p", "marker_file": "m"}
    found = read(json.dumps({"entries": [entry]})).entries
    assert found == (podoptions.WrapperOptions(process_log="p", marker_file="m"),)


def test_unknown_keys_are_passed_over() -> None:
    assert read('{"extensions": {"x": 1}, "gcs_options": {"later": []}}') == read("{}")


@pytest.mark.parametrize(
    ("text", "argv", "said"),
    [
        ("{", (), "SIDECAR_OPTIONS is not JSON"),
        ("", (), "SIDECAR_OPTIONS is not JSON"),
        ("[1]", (), "must hold a JSON object"),
        ("\udcff", (), "SIDECAR_OPTIONS is not JSON"),
        ("[" * 100_000, (), "SIDECAR_OPTIONS is not JSON"),
        ('{"a":[' * 490 + "]}" * 490, (), "SIDECAR_OPTIONS is not JSON"),
        (
            '{"entry_error": "yes"}',
            (),
            r"SIDECAR_OPTIONS cannot be used: Expected `bool`, got `str` - at `\$.entry_err",
        ),
        ('{"gcs_options": 5}', ("--gcs-path=b",), "Expected `object`, got `int`"),
        (None, ("--nope",), "no such flag: --nope"),
        (None, ("--gcs-path",), "needs a value"),
    ],
)
def test_mistakes_are_one_line_for_a_person(text: str | None, argv: tuple[str, ...], said: str) -> None:
    with pytest.raises(CannotStart, match=said) as caught:
        read(text, *argv)
    assert str(caught.value).startswith("sidecar: ")
    assert "\n" not in str(caught.value)


def test_words_need_a_place() -> None:
    program = podflags.Program(name="clonerefs", variable="X", flags=())
    with pytest.raises(CannotStart, match="not 'word'"):
        podflags.read(program, podoptions.SidecarOptions, "{}", ["word"])


def test_finish_sees_the_flags_and_changes_the_options() -> None:
    def finish(options: dict[str, Any], flags: goflags.Flags) -> None:
        options["entry_error"] = flags["twice"] == ("a", "b")

    program = podflags.Program(
        name="x",
        variable="X",
        flags=(podflags.PodFlag(Flag("twice", "strings", (), ""), ""),),
        zero=PROGRAM.zero,
        finish=finish,
    )
    found = podflags.read(program, podoptions.SidecarOptions, None, ["--twice=a", "--twice", "b"])
    assert found.entry_error


def test_durations_become_nanoseconds() -> None:
    flag = podflags.pod_flag(Flag("grace-period", "duration", 15.0, ""), "grace_period", podflags.nanoseconds)
    program = podflags.Program(
        name="entrypoint",
        variable="X",
        flags=(flag,),
        zero={"timeout": 0, "process_log": "", "marker_file": ""},
    )
    assert podflags.read(program, podoptions.EntrypointOptions, None, []).grace_period == 15_000_000_000
    assert podflags.read(program, podoptions.EntrypointOptions, "{}", ["-grace-period=1h"]).grace_period == 36 * 10**11
