"""How large the mounted ConfigMaps of job configuration are: they may not grow beyond 1 MiB.

Source: upstream cmd/sinker/main.go (jobConfigMapMonitor).
"""

from pathlib import Path

import anyio
import anyio.to_thread
import structlog

from prow_async.ports.metrics import Metrics

log = structlog.get_logger()
EVERY_S = 300.0
_DATA = "..data"
"""The link to a ConfigMap's files that a kubelet puts into its mount."""


async def watch(job_config_path: str, metrics: Metrics) -> None:
    """Keep the metric up to date until cancelled."""
    while True:
        try:
            found = await anyio.to_thread.run_sync(sizes, Path(job_config_path))
        except OSError as error:
            log.warning("sizes of ConfigMaps are not known", path=job_config_path, why=str(error))
        else:
            metrics.replace("job_configmap_size", [({"name": folder}, size) for folder, size in found.items()])
        await anyio.sleep(EVERY_S)


def sizes(path: Path) -> dict[str, int]:
    """Return bytes by folder: of a ConfigMap mounted here, or of those mounted in the folders here.

    Files are counted unpacked from links, as they lie in the timestamped folder. Configuration in one file has none.
    Raises OSError.
    """
    if path.is_file():
        return {}
    folders = [path] if (path / _DATA).exists() else [one for one in sorted(path.iterdir()) if one.is_dir()]
    return {str(folder): _size(folder) for folder in folders if (folder / _DATA).exists()}


def _size(folder: Path) -> int:
    return sum(one.stat().st_size for one in folder.rglob("*") if one.is_file() and not one.is_symlink())
