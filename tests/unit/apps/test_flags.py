"""Command lines as Go's flag package reads them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.api.errors import CannotStart
from prow_async.apps import flag_groups, flags
from prow_async.apps.flags import Flag

TABLE = (
    Flag("dry-run", "bool", True, "write nothing"),
    Flag("port", "int", 8888, "port"),
    Flag("share", "float", 1.0, "share"),
    Flag("config-path", "str", "", "path"),
    Flag("grace-period", "duration", 180.0, "drain"),
    Flag("org", "strings", ("default",), "orgs"),
    Flag("tot-url", "str", "", "address", "tot"),
    Flag("suffix", "str", ".yaml", "ending", older="filename"),
)


def parse(*argv: str) -> flags.Flags:
    return flags.parse("prow-async hook", TABLE, argv)


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        ((), "dry-run", True),
        (("--dry-run",), "dry-run", True),
        (("-dry-run",), "dry-run", True),
        (("--dry-run=false",), "dry-run", False),
        (("-dry-run=F",), "dry-run", False),
        (("--dry-run=0", "--dry-run=T"), "dry-run", True),
        (("--port=1",), "port", 1),
        (("--port", "2"), "port", 2),
        (("-port", "0x10"), "port", 16),
        (("--port=-1",), "port", -1),
        (("--share=.5",), "share", 0.5),
        (("--config-path", "--odd"), "config-path", "--odd"),
        (("--config-path=a=b",), "config-path", "a=b"),
        (("--config-path=",), "config-path", ""),
        (("--grace-period", "1m30s"), "grace-period", 90.0),
        (("--filename=a", "--suffix=b"), "suffix", "b"),
        (("--suffix=b", "-filename", "a"), "suffix", "a"),
        ((), "org", ("default",)),
        (("--org=a",), "org", ("a",)),
        (("--org=a", "--org", "b,c"), "org", ("a", "b,c")),
    ],
)
def test_values(argv: tuple[str, ...], name: str, value: object) -> None:
    """One dash or two, `=` or a word behind; a boolean needs `=`; the first of a repeated flag drops the default."""
    found = parse(*argv)
    assert found[name] == value
    assert (name in found.given) is bool(argv)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--port=1", "word", "--port=2"), ("word", "--port=2")),
        (("--", "--port=2"), ("--port=2",)),
        (("-",), ("-",)),
        (("--dry-run", "false"), ("false",)),
    ],
)
def test_parsing_stops_at_the_first_word(argv: tuple[str, ...], words: tuple[str, ...]) -> None:
    assert parse(*argv).words == words


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (("--nope",), "no such flag: --nope (see prow-async hook --help)"),
        (("--nope=secret",), "no such flag: --nope ("),
        (("--port",), "flag --port needs a value"),
        (("--port=many",), "--port='many' is no int"),
        (("--dry-run=maybe",), "--dry-run='maybe' is no bool: want true or false"),
        (("--share=x",), "--share='x' is no float"),
        (("--grace-period=3",), "--grace-period='3' is no duration"),
        (("---port=1",), "no such flag: ---port"),
    ],
)
def test_mistakes(argv: tuple[str, ...], text: str) -> None:
    """Each mistake is one line that names program, flag and what is wrong; a value given to no flag is not repeated."""
    with pytest.raises(CannotStart) as error:
        parse(*argv)
    line = str(error.value)
    assert line.startswith("prow-async hook: ")
    assert text in line
    assert "\n" not in line


@pytest.mark.parametrize("word", ["-h", "--help", "-help", "--h"])
def test_help(word: str) -> None:
    """Help shows every flag with its kind and default, and what has no effect."""
    with pytest.raises(flags.Help) as asked:
        parse("--port=1", word)
    text = asked.value.text
    for flag in TABLE:
        assert f"--{flag.name} {flag.kind}" in text
    assert "(default true)" in text
    assert "(default 3m0s)" in text
    assert "[no effect: tot is not there yet]" in text


def test_a_flag_without_effect_warns_once() -> None:
    found = parse("--tot-url=x", "--tot-url=y")
    assert found.warnings == ("--tot-url is accepted but has no effect: tot is not there yet",)
    assert parse("--port=1").warnings == ()


@given(st.lists(st.text(max_size=12), max_size=6))
def test_any_command_line_is_read_or_refused(argv: list[str]) -> None:
    """Whatever is typed gives flags, help, or one line for a person."""
    try:
        found = parse(*argv)
    except (CannotStart, flags.Help):
        return
    assert set(found.values) == {flag.name for flag in TABLE}


GROUPS = {
    name: getattr(flag_groups, name) for name in ("HOOK", "CONTROLLER_MANAGER", "CRIER", "SINKER", "HOROLOGIUM", "UP")
}


@pytest.mark.parametrize("name", GROUPS)
def test_each_components_table(name: str) -> None:
    """No flag stands twice, every default is of its kind, and the defaults parse without a warning."""
    table = GROUPS[name]
    kinds = {"bool": bool, "int": int, "float": float, "str": str, "duration": float, "strings": tuple}
    assert len({flag.name for flag in table}) == len(table)
    for flag in table:
        assert isinstance(flag.default, kinds[flag.kind]), flag.name
        assert flag.help
    assert flags.parse(name, table, []).warnings == ()


@pytest.mark.parametrize("name", GROUPS)
def test_deprecated_name_of_the_suffix(name: str) -> None:
    """Upstream still takes both names wherever configuration is read."""
    found = flags.parse(name, GROUPS[name], ["--supplemental-prow-configs-filename=_mine.yaml"])
    assert found["supplemental-prow-configs-filename-suffix"] == "_mine.yaml"


@pytest.mark.parametrize("name", GROUPS)
def test_no_flag_is_silently_without_effect(name: str) -> None:
    """Each flag is read somewhere, or says that it has no effect."""
    rooms = Path(flag_groups.__file__).parent.glob("*.py")
    sources = "".join(path.read_text() for path in rooms if path.name != "flag_groups.py")
    assert [flag.name for flag in GROUPS[name] if not flag.lacking and f'"{flag.name}"' not in sources] == []
