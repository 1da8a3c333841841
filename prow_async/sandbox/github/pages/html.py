"""Pieces of HTML. Everything that comes from elsewhere is escaped here; nothing in a page runs."""

from collections.abc import Iterable, Sequence
from html import escape
from urllib.parse import quote

from prow_async.sandbox.github.call import Content

POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:56rem;margin:1.5rem auto;padding:0 1rem}"
    "nav{border-bottom:1px solid #ccc;padding-bottom:.4rem;display:flex;gap:1rem;align-items:baseline}"
    "nav form{margin-left:auto}pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f6f8fa;padding:.7rem}"
    "td,th{padding:.15rem .9rem .15rem 0;text-align:left;vertical-align:top}label{display:block;margin:.4rem 0}"
    "input[type=text],input[type=password],textarea{width:100%;box-sizing:border-box}textarea{height:6rem}"
    ".row form{display:inline}.said{color:#b00}"
)


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()

    def __add__(self, other: str) -> "Markup":
        return Markup(str.__add__(self, text(other)))


def text(value: object) -> Markup:
    """Escape a text; HTML made here passes."""
    return value if isinstance(value, Markup) else Markup(escape(str(value)))


def tag(name: str, /, *content: object, **attributes: str) -> Markup:
    """Make an element. An attribute `class_` is `class`."""
    given = "".join(f' {key.rstrip("_")}="{escape(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{given}>{join(content)}</{name}>")


def join(pieces: Iterable[object]) -> Markup:
    return Markup("".join(map(text, pieces)))


def link(path: str, label: object) -> Markup:
    """Link to a page here."""
    return tag("a", label, href=path)


def outside(url: str | None, label: str) -> Markup:
    """Link to elsewhere; only http and https lead anywhere."""
    if not url or not url.startswith(("http://", "https://")):
        return Markup("")
    return tag("a", label, href=url, rel="noreferrer")


def path(*parts: object) -> str:
    """Join the parts of a path, each quoted."""
    return "/" + "/".join(quote(str(part), safe="") for part in parts)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """Make a table; one without rows says so."""
    shown = [tag("tr", *(tag("td", cell) for cell in row)) for row in rows]
    if not shown:
        return tag("p", "None.")
    top = [tag("tr", *(tag("th", name) for name in head))] if head else []
    return tag("table", *top, *shown)


def form(action: str, *content: object, button: str) -> Markup:
    return tag("form", *content, tag("button", button), method="post", action=action)


def field(name: str, label: str, value: str = "", kind: str = "text") -> Markup:
    box = Markup(f'<input name="{escape(name)}" type="{escape(kind)}" value="{escape(value)}">')
    return tag("label", label, box)


def area(name: str, label: str) -> Markup:
    return tag("label", label, tag("textarea", "", name=name))


def choice(name: str, label: str, values: Iterable[str], chosen: str = "") -> Markup:
    options = [
        tag("option", value, value=value, **({"selected": "selected"} if value == chosen else {})) for value in values
    ]
    return tag("label", label, tag("select", *options, name=name))


def page(title: str, viewer: str, *content: object, status: int = 200) -> Content:
    """Make a whole page for a viewer (empty: nobody signed in)."""
    if viewer:
        who = form("/logout", f"{viewer} ", button="Sign out")
    else:
        who = tag("span", link("/login", "Sign in"), style="margin-left:auto")
    top = tag("nav", link("/", "Repositories"), who)
    head = join([Markup('<meta charset="utf-8">'), tag("title", title), tag("style", Markup(_STYLE))])
    whole = Markup("<!doctype html>") + tag("html", tag("head", head), tag("body", top, *content), lang="en")
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": POLICY,
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }
    return Content(status, None, headers, whole.encode("utf-8", "replace"))


def go(where: str, **headers: str) -> Content:
    """Send the browser on after a form."""
    return Content(303, None, {"location": where, **{name.replace("_", "-"): value for name, value in headers.items()}})
