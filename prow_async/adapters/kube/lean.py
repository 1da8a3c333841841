"""kubernetes_asyncio's credential loaders and HTTP session, without its 760 generated models and APIs.

Importing the package the ordinary way runs `kubernetes_asyncio.client`, which imports every model: about a second and
70 MB that nothing here uses. So the few modules needed are imported below stand-ins for the two packages whose
`__init__` does that. The stand-ins are taken out of `sys.modules` again: whoever imports the package later gets the
whole of it, beside ours. If the package's layout is not as expected, the ordinary import serves.
"""

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import msgspec

PACKAGE = "kubernetes_asyncio"
SHELLS = (PACKAGE, f"{PACKAGE}.client")
"""Packages whose `__init__` is not run."""


class Library(msgspec.Struct, frozen=True):
    """What is used of kubernetes_asyncio."""

    configuration: Any
    """class client.Configuration"""
    rest_client: Any
    """class client.rest.RESTClientObject: makes the aiohttp session with its TLS context"""
    kubeconfig_loader: Any
    """class config.kube_config.KubeConfigLoader"""
    in_cluster_loader: Any
    """class config.incluster_config.InClusterConfigLoader"""
    lean: bool
    """False when the ordinary import had to serve."""


def load() -> Library:
    """Import what is needed, leanly if possible."""
    with _put_back():
        try:
            return _collect(_stand_ins(), lean=True)
        except (ImportError, AttributeError):
            for name in _loaded():
                del sys.modules[name]
    return _collect(importlib.import_module(f"{PACKAGE}.client"), lean=False)


def _stand_ins() -> ModuleType:
    """Enter bare modules for SHELLS into sys.modules; return the one for the client package."""
    shell = ModuleType("")
    for name in SHELLS:
        spec = importlib.util.find_spec(name)
        if spec is None:
            raise ImportError(f"there is no {name}", name=name)
        shell = importlib.util.module_from_spec(spec)
        sys.modules[name] = shell
    configuration = importlib.import_module(f"{SHELLS[1]}.configuration").Configuration
    # The loaders only name ApiClient.
    vars(shell).update(Configuration=configuration, ApiClient=type("ApiClient", (), {}))
    return shell


def _collect(client: ModuleType, lean: bool) -> Library:
    rest = importlib.import_module(f"{PACKAGE}.client.rest")
    kube_config = importlib.import_module(f"{PACKAGE}.config.kube_config")
    in_cluster = importlib.import_module(f"{PACKAGE}.config.incluster_config")
    return Library(
        configuration=client.Configuration,
        rest_client=rest.RESTClientObject,
        kubeconfig_loader=kube_config.KubeConfigLoader,
        in_cluster_loader=in_cluster.InClusterConfigLoader,
        lean=lean,
    )


def _loaded() -> list[str]:
    return [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]


@contextlib.contextmanager
def _put_back() -> Iterator[None]:
    """Leave sys.modules as it was found, as far as the package goes."""
    before = {name: sys.modules.pop(name) for name in _loaded()}
    try:
        yield
    finally:
        for name in _loaded():
            del sys.modules[name]
        sys.modules.update(before)


library = load()
