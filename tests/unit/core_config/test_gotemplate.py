"""Go templates. Expected texts are what Go's text/template writes."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.api.prowjob import ObjectMeta, ProwJob, ProwJobSpec, ProwJobStatus, Pull, Refs
from prow_async.core import gotemplate

DATA: dict[str, Any] = {
    "Name": "n1",
    "Labels": {"a": "1", "b": "<2>"},
    "Spec": {
        "Type": "presubmit",
        "Refs": {"Org": "o", "Pulls": [{"Number": 5, "Author": "me"}, {"Number": 6, "Author": "you"}]},
        "N": 3,
        "F": 1500000.0,
        "Report": True,
        "Extra": [],
        "Nil": None,
    },
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain }} text", "plain }} text"),
        ("{{.Name}} {{ .Spec.Refs.Org }}", "n1 o"),
        ("{{if .Spec.Nil}}y{{else}}n{{end}}", "n"),
        ('{{if eq .Name "x"}}1{{else if ne .Spec.Type "batch"}}2{{else}}3{{end}}', "2"),
        ("{{with index .Spec.Refs.Pulls 0}}{{.Number}}-{{.Author}}-{{$.Name}}{{end}}", "5-me-n1"),
        ("{{with .Spec.Extra}}a{{else}}b{{end}}", "b"),
        ("{{range $i, $p := .Spec.Refs.Pulls}}{{$i}}={{$p.Author}};{{else}}none{{end}}", "0=me;1=you;"),
        ("{{range .Spec.Refs.Pulls}}{{if eq .Number 6}}{{break}}{{end}}{{.Number}}{{end}}", "5"),
        ("{{range .Spec.Extra}}x{{else}}none{{end}}{{range 3}}{{.}}{{end}}", "none012"),
        ("{{range $k, $v := .Labels}}{{$k}}={{$v}} {{end}}", "a=1 b=<2> "),
        ('{{.Labels.a}} {{.Labels.zz}} [{{index .Labels "zz"}}]', "1 <no value> []"),
        ('{{.Name | printf "%s-%05d-%q-%v" "x" 42 "a\\"b"}}', 'x-00042-"a\\"b"-n1'),
        ('{{printf "%-4s|%4s|%t|%.2f|%x|%d" "a" "b" true 1.5 255 "s"}}', "a   |   b|true|1.50|ff|%!d(string=s)"),
        ('{{printf "%c %q %U %#x% d %T" 65 233 8364 255 5 1.5}}', "A 'é' U+20AC 0xff 5 float64"),
        ('{{printf "%s %d %v" nil nil nil}}', "%!s(<nil>) %!d(<nil>) <nil>"),
        ('{{printf "%s"}} {{printf "a" 1}}', "%!s(MISSING) a%!(EXTRA int=1)"),
        ("{{len .Name}} {{len .Labels}} {{not .Name}}", "2 2 false"),
        ('{{or "" .Name}} {{and .Name 0}} {{and .Name .Spec.N}}', "n1 0 3"),
        ('{{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge 2 3}} {{eq .Name "a" "n1"}}', "true true false false true"),
        ("a {{- .Name -}} b  {{- /* c */ -}}  d {{/* e */}}f", "an1bd f"),
        ('{{$x := .Name}}{{$x}}{{if true}}{{$x = "z"}}{{end}}{{$x}}', "n1z"),
        ('{{define "T"}}[{{.}}]{{end}}{{template "T" .Name}}{{block "U" .Spec}}{{.N}}{{end}}', "[n1]3"),
        ("{{1.5}} {{0x10}} {{'a'}} {{true}} {{\"q\\u00e9\\x41\"}} {{`raw`}} {{-3}}", "1.5 16 97 true qéA raw -3"),
        ("{{.Spec.F}} {{.Spec.N}} {{.Spec.Nil}}", "1.5e+06 3 <nil>"),
        ('{{print 1 2 "a" 3}}{{println 1 "a"}}', "1 2a31 a\n"),
        ('{{html "<a href=\'x\'>&"}} {{urlquery "a b&c/é~"}}', "&lt;a href=&#39;x&#39;&gt;&amp; a+b%26c%2F%C3%A9~"),
        ("{{(index .Spec.Refs.Pulls 1).Author}} {{slice .Name 1}}", "you 1"),
    ],
)
def test_executes_as_go(text: str, expected: str) -> None:
    """The text that Go writes."""
    assert gotemplate.parse(text, "t").execute(DATA) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{", "template: t:1: unclosed action"),
        ("a\n{{.Name", "template: t:2: unclosed action"),
        ("{{/* x", "template: t:1: unclosed comment"),
        ("{{if .Name}}", "template: t:1: unexpected EOF"),
        ("{{end}}", "template: t:1: unexpected {{end}}"),
        ("{{else}}", "template: t:1: unexpected {{else}}"),
        ("x\n{{.Name}}\n{{nope}}", 'template: t:3: function "nope" not defined'),
        ("{{$x}}", 'template: t:1: undefined variable "$x"'),
        ("{{if}}x{{end}}", "template: t:1: missing value for if"),
        ("{{break}}", "template: t:1: {{break}} outside {{range}}"),
        ('{{"open}}', "template: t:1: unterminated quoted string"),
        ('{{.Name | "x"}}', "template: t:1: non executable command in pipeline stage 2"),
        ("{{if 1}}" * 200, "template: t:1: nested deeper"),
        ("{{" + "(" * 200 + "1" + ")" * 200 + "}}", "template: t:1: nested deeper"),
    ],
)
def test_what_does_not_parse_says_where(text: str, message: str) -> None:
    """Name, line and reason in Go's form."""
    with pytest.raises(gotemplate.TemplateError) as caught:
        gotemplate.parse(text, "t")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{.Spec.Nil.Org}}", "nil pointer evaluating .Org"),
        ("{{index .Spec.Extra 0}}", "index out of range: 0"),
        ("{{.Name.Foo}}", "can't evaluate field Foo"),
        ('{{eq 1 "a"}}', "incompatible types for comparison"),
        ("{{len 3}}", "len of a value"),
        ("{{nil}}", "nil is not a command"),
        ('{{template "none"}}', 'template "none" not defined'),
        ('{{define "T"}}{{template "T"}}{{end}}{{template "T"}}', "more than 100 deep"),
    ],
)
def test_what_does_not_execute_says_why(text: str, reason: str) -> None:
    """A TemplateError with the reason, never another exception."""
    with pytest.raises(gotemplate.TemplateError, match=reason):
        gotemplate.parse(text, "t").execute(DATA)


def test_a_prowjob_is_read_by_go_names() -> None:
    """Spec, status, metadata and its promoted fields, and the methods Go templates may call."""
    refs = Refs("o", "r", base_ref="main", base_sha="abc", pulls=(Pull(5, "me", "def"),))
    job = ProwJob(
        metadata=ObjectMeta(name="id", labels={"k": "v"}),
        spec=ProwJobSpec(type="presubmit", job="unit", refs=refs, pod_spec={"containers": [{"image": "i"}]}),
        status=ProwJobStatus(state="success", build_id="7", url="u"),
    )
    text = (
        "{{.Name}} {{.ObjectMeta.Name}} {{.Labels.k}} {{.Kind}} {{.Spec.Job}} {{.Spec.Type}} {{.Spec.Refs.BaseSHA}} "
        "{{with index .Spec.Refs.Pulls 0}}{{.Number}}{{.SHA}}{{end}} {{.Status.BuildID}} {{.Status.URL}} "
        "{{.Spec.Refs.OrgRepoString}} {{.Spec.Refs.String}} {{.ClusterAlias}} {{.Complete}} "
        "{{(index .Spec.PodSpec.Containers 0).Image}}"
    )
    expected = "id id v ProwJob unit presubmit abc 5def 7 u o/r main:abc,5:def default false i"
    assert gotemplate.parse(text).execute(job) == expected


def test_a_wire_name_is_no_go_name() -> None:
    """JSON names do not work in templates, as upstream."""
    job = ProwJob(metadata=ObjectMeta(name="id"), spec=ProwJobSpec(type="periodic", job="x"))
    with pytest.raises(gotemplate.TemplateError, match="can't evaluate field build_id"):
        gotemplate.parse("{{.Status.build_id}}").execute(job)
    with pytest.raises(gotemplate.TemplateError, match="nil pointer evaluating .Org"):
        gotemplate.parse("{{.Spec.Refs.Org}}").execute(job)


PIECES = [
    "{{",
    "}}",
    "{{-",
    "-}}",
    "if ",
    "else",
    "end",
    "range ",
    "with ",
    ".",
    ".A",
    "$x",
    ":=",
    "|",
    "(",
    ")",
    '"',
    "1",
    " ",
]


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=30).map("".join))
def test_any_text_gives_output_or_a_template_error(text: str) -> None:
    """Bad templates give TemplateError and nothing else, at parsing and at execution."""
    with contextlib.suppress(gotemplate.TemplateError):
        assert isinstance(gotemplate.parse(text).execute(DATA), str)
