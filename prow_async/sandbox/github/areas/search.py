"""Search for issues and pull requests."""

from prow_async.sandbox.github import searching, shapes
from prow_async.sandbox.github.call import Call, Content, Route
from prow_async.sandbox.github.refusal import Refusal, invalid


def issues(call: Call) -> Content:
    """Answer a page of what fits `q`; `sort` and `order` as on GitHub. Only the first thousand can be had."""
    query = call.query.get("q", "")
    if not query.strip():
        raise invalid("Search", "q", "missing")
    sort, order = call.query.get("sort", ""), call.query.get("order", "desc")
    found = searching.search(call.world, call.login, f"{query} sort:{sort}-{order}" if sort else query)
    size, page = call.wanted_page()
    if (page - 1) * size >= searching.RESULTS_LIMIT:
        raise Refusal(422, "Only the first 1000 search results are available")
    shown, headers = call.slice(found[: searching.RESULTS_LIMIT])
    items = [shapes.issue(call.world, one.repo, one.record) | {"score": 1.0} for one in shown]
    return Content(200, {"total_count": len(found), "incomplete_results": False, "items": items}, headers)


ROUTES = (Route("GET", "/search/issues", issues),)
