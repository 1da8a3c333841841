"""Which of a pod's containers are its pod utilities. There are no images here: this project's own programs run. Pure.

Source: upstream pkg/pod-utils/decorate/podspec.go, for the images' names and what each is configured by.
"""

from prow_async.sandbox.kubelet.manifest import Container

_CONFIGURED_BY = {
    "clonerefs": "CLONEREFS_OPTIONS",
    "initupload": "INITUPLOAD_OPTIONS",
    "sidecar": "SIDECAR_OPTIONS",
    "entrypoint": "",
}
COPY_ONLY = "--copy-mode-only"


def of(container: Container) -> str:
    """Return the utility's name, empty for a container that is none.

    Both the image's last path element and what a decoration configures must fit: a job may well use an image that
    happens to be called `sidecar`.
    """
    name = container.image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    if name not in _CONFIGURED_BY or tuple(container.command) not in {(), (f"/{name}",)}:
        return ""
    variable = _CONFIGURED_BY[name]
    decorated = any(env.name == variable for env in container.env) if variable else COPY_ONLY in container.args
    return name if decorated else ""
