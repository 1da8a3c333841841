"""Answers one GraphQL request. The library is imported when the first one comes."""

from functools import cache
from typing import Any

from prow_async.sandbox.github import comparing
from prow_async.sandbox.github.call import Call, Content, Route
from prow_async.sandbox.github.graph import schema
from prow_async.sandbox.github.graph.nodes import Graph
from prow_async.sandbox.github.refusal import Refusal
from prow_async.sandbox.github.steps import Steps, ask

QUERY_LIMIT_BYTES = 64 * 1024
TOKENS_LIMIT = 4000
"""So many words a query has at most."""
COMPARED_LIMIT = 40
"""So many pull requests whose mergeability was asked for are compared after one answer."""
_TYPES = {404: "NOT_FOUND", 403: "FORBIDDEN", 422: "UNPROCESSABLE"}


def graphql(call: Call) -> Steps[Content]:
    """Answer `{"query": ..., "variables": ...}`; what is wrong is told in `errors`, with status 200, as on GitHub.

    Mutations are not answered.
    """
    content = call.content if isinstance(call.content, dict) else {}
    query, variables = content.get("query"), content.get("variables") or {}
    if not isinstance(query, str):
        return _failed("A query attribute must be specified and must be a string.")
    if not isinstance(variables, dict) or len(query) > QUERY_LIMIT_BYTES:
        return _failed("The variables are no object, or the query is too long.")
    if call.world.git is not None:  # only where there are threads: the library takes a moment to load
        yield from ask(_schema)
    graph = Graph(call.world, call.login, call.now_s)
    try:
        answer = _execute(graph, query, variables, content.get("operationName"))
    except RecursionError:
        return _failed("The query is nested too deeply.")
    if call.world.git is not None:
        for repo, record in graph.unknown[:COMPARED_LIMIT]:
            yield from comparing.looked_at(call.world, repo, record)
    return Content(200, answer)


def _failed(message: str) -> Content:
    return Content(200, {"errors": [{"message": message}]})


@cache
def _schema() -> Any:
    import graphql as library

    return library.build_schema(schema.TEXT)


def _execute(graph: Graph, query: str, variables: dict[str, Any], operation: Any) -> dict[str, Any]:
    import graphql as library

    try:
        document = library.parse(query, max_tokens=TOKENS_LIMIT, no_location=False)
    except library.GraphQLError as error:
        return {"errors": [_error(error)]}
    wrong = library.validate(_schema(), document, max_errors=10)
    if wrong:
        return {"errors": [_error(error) for error in wrong]}
    kinds = [node.operation.value for node in document.definitions if hasattr(node, "operation")]
    if kinds.count("query") != len(kinds):
        return {"errors": [{"message": "The small GitHub answers queries alone."}]}
    name = operation if isinstance(operation, str) else None
    done: Any = library.execute(
        _schema(), document, root_value=graph.root(), variable_values=variables, operation_name=name
    )
    answer: dict[str, Any] = {"data": done.data}
    if done.errors:
        answer["errors"] = [_error(error) for error in done.errors]
    return answer


def _error(error: Any) -> dict[str, Any]:
    """Render an error in GitHub's form; one of ours gets its type."""
    original = getattr(error, "original_error", None)
    shape: dict[str, Any] = {"message": original.message if isinstance(original, Refusal) else error.message}
    if isinstance(original, Refusal):
        shape["type"] = _TYPES.get(original.status, "UNPROCESSABLE")
    if error.path:
        shape["path"] = list(error.path)
    if error.locations:
        shape["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    return shape


ROUTES = (Route("POST", "/graphql", graphql),)
