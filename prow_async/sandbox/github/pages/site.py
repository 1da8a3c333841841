"""Which page an address is, who looks at it, and what is said where something is wrong.

Pages are for a browser on this machine: reading needs no token, but what is private, and every form, needs somebody
signed in. The door lets no other web site's forms in, and the session's cookie goes with no request of theirs.
"""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from prow_async.sandbox.github.call import Call, Content, Request, Route
from prow_async.sandbox.github.pages import delivery_log, forms, html, views
from prow_async.sandbox.github.refusal import Refusal
from prow_async.sandbox.github.steps import Steps
from prow_async.sandbox.github.world import World

COOKIE = "session"
FIELDS_LIMIT = 30
_API = ("repos", "orgs", "users", "user", "search", "graphql", "rate_limit", "teams", "app")
"""First parts of a path that are the REST API's."""


def sign_in_page(call: Call) -> Content:
    how = html.tag("p", "Paste a token of the small GitHub. prow-async up says which files hold one.")
    box = html.form("/login", html.field("token", "Token", kind="password"), button="Sign in")
    return html.page("Sign in", call.login, html.tag("h1", "Sign in"), how, box)


def sign_in(call: Call) -> Content:
    login = call.world.login_of(call.text("token").strip(), call.now_s)
    if login is None:
        raise Refusal(401, "That is no token of this GitHub.")
    session = call.world.open_session(login)
    return html.go("/", set_cookie=f"{COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict")


def sign_out(call: Call) -> Content:
    call.world.close_sessions(call.login)
    return html.go("/", set_cookie=f"{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")


ROUTES: tuple[Route, ...] = (
    Route("GET", "/login", sign_in_page),
    Route("POST", "/login", sign_in),
    Route("POST", "/logout", sign_out),
    *delivery_log.ROUTES,
    *views.ROUTES,
    *forms.ROUTES,
)


def find(world: World, request: Request, now_s: float) -> Steps[Content | None]:
    """Answer a page's address; None when it is not one, or a program asks: one that sends a token."""
    path, _, query = request.path.partition("?")
    if "authorization" in request.headers or path.lstrip("/").partition("/")[0] in _API:
        return None
    for route in ROUTES:
        params = route.match(path) if route.method == request.method else None
        if params is None:
            continue
        viewer = world.session(_cookie(request.headers)) or ""
        target = (path, dict(parse_qsl(query, keep_blank_values=True)))
        call = Call(world, viewer, now_s, params, target)
        try:
            if request.method == "POST":
                call.content = _form(call, request)
            content = route.handler(call)
            return content if isinstance(content, Content) else (yield from content)
        except Refusal as refusal:
            said = [entry.message for entry in refusal.errors if entry.message]
            words = html.tag("p", "; ".join([refusal.message, *said]), class_="said")
            return html.page(refusal.message, viewer, html.tag("h1", str(refusal.status)), words, status=refusal.status)
    return None


def _form(call: Call, request: Request) -> dict[str, str]:
    """Read a form. Raises Refusal: 401 for nobody signed in, 415 and 400 for what is no form."""
    if call.path != "/login" and not call.login:
        raise Refusal(401, "Sign in first.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/x-www-form-urlencoded":
        raise Refusal(415, "A form is wanted.")
    try:
        return dict(parse_qsl(request.body.decode(), keep_blank_values=True, max_num_fields=FIELDS_LIMIT))
    except ValueError:
        raise Refusal(400, "The form cannot be read.") from None


def _cookie(headers: Mapping[str, str]) -> str:
    for piece in headers.get("cookie", "").split(";"):
        name, _, value = piece.strip().partition("=")
        if name == COOKIE:
            return value
    return ""
