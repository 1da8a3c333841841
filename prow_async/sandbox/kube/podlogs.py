"""What a request for a pod's log or its binding asks for, checked against the pod."""

from typing import Any

from prow_async.sandbox.kube import exchange, pods, status, store

Json = dict[str, Any]

_NOT_SERVED = ("previous", "timestamps", "sinceSeconds", "sinceTime")
_DEFAULT = "kubectl.kubernetes.io/default-container"


def read(entry: store.Entry, request: exchange.Request) -> exchange.LogRequest:
    """Read `GET .../pods/NAME/log`. Raises Refusal (400)."""
    query = request.query
    for name in _NOT_SERVED:
        if query.get(name) and exchange.flag(query, name):
            raise status.bad_request(f"the log option {name} is not served here")
    pod = store.decode(entry.raw)
    names = [container["name"] for container in pods.containers_of(pod["spec"])]
    container = query.get("container", "") or _only(pod, names)
    if container not in names:
        raise status.bad_request(f"container {container} is not valid for pod {entry.name}")
    tail_lines, limit_bytes = exchange.number(query, "tailLines"), exchange.number(query, "limitBytes")
    for name, value in (("tailLines", tail_lines), ("limitBytes", limit_bytes)):
        if value is not None and value < 0:
            cause = status.bad_value(name, value, "must be greater than or equal to 0")
            raise status.invalid("PodLogOptions", "", entry.name, [cause])
    follow = exchange.flag(query, "follow")
    return exchange.LogRequest(entry.namespace, entry.name, container, follow, tail_lines, limit_bytes)


def _only(pod: Json, names: list[str]) -> str:
    """Choose a container when the asker names none. Raises Refusal."""
    chosen = pod["metadata"].get("annotations", {}).get(_DEFAULT)
    if chosen:
        return str(chosen)
    main = [container["name"] for container in pod["spec"]["containers"]]
    if len(names) == 1:
        return names[0]
    first = [name for name in names if name not in main]
    text = f"a container name must be specified for pod {pod['metadata']['name']}, choose one of: [{' '.join(main)}]"
    if first:
        text += f" or one of the init containers: [{' '.join(first)}]"
    raise status.bad_request(text)


def node_of(binding: Json) -> str:
    """Read the node a Binding names. Raises Refusal."""
    target = binding.get("target")
    node = target.get("name") if isinstance(target, dict) else None
    if not isinstance(node, str) or not node:
        raise status.invalid("Binding", "", "", [status.required("target.name")])
    return node
