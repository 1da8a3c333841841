"""How fast configuration loads and reloads, beside libyaml's safe loader alone on the same files."""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench import config_child, config_tree, processes
from bench.results import Config

COPIES = 10
PATIENCE_S = 300.0
Say = Callable[[str], None]


def measure(source: Path, rounds: int, say: Say) -> Config:
    """Copy a tree of configuration and load it in fresh processes, in turn. Raises Broken."""
    with tempfile.TemporaryDirectory(prefix="prow-async-bench-") as folder:
        small, large = Path(folder) / "1", Path(folder) / "10"
        config_tree.make(source, 1, small)
        config_tree.make(source, COPIES, large)
        cache = Path(folder) / "cache"
        bare, cold, cached, one, alone = [], [], [], [], []
        for turn in range(rounds):
            say(f"configuration: round {turn + 1} of {rounds}")
            alone.append((_run("bare", small), _run("cold", small)))
            bare.append(_run("bare", large))
            cache.unlink(missing_ok=True)  # what is cold must not find the last round's
            cold.append(_run("cold", large, cache))
            cached.append(_run("cached", large, cache))
            one.append(_run("one", large))
        say("configuration: reload of everything under a running loop")
        stalls = [_run("stall", large) for _ in range(rounds)]
    ratio_one = statistics.median(ours.took_s / theirs.took_s for theirs, ours in alone)
    return Config(
        copies=COPIES,
        jobs=cold[0].jobs,
        size_mb=round(bare[0].size_bytes / 1e6, 2),
        bare_s=_median([found.took_s for found in bare]),
        cold_s=_median([found.took_s for found in cold]),
        cold_ratio=_ratio(cold, bare),
        cached_s=_median([found.took_s for found in cached]),
        cached_ratio=_ratio(cached, bare),
        one_ms=_median([found.took_s * 1e3 for found in one]),
        one_parse_ms=_median([found.parse_s * 1e3 for found in one]),
        linearity=round(_ratio(cold, bare) / ratio_one, 2),
        peak_mb=round(max(found.peak_bytes for found in (*cold, *cached, *one, *stalls)) / 1e6, 1),
        stall_ms=_median([found.stall_s * 1e3 for found in stalls]),
        rounds=rounds,
    )


def _run(mode: str, tree: Path, cache: Path | None = None) -> config_child.Found:
    arguments = [mode, str(tree), *([str(cache)] if cache is not None else [])]
    said = processes.run(processes.module("bench.config_child", *arguments), PATIENCE_S)
    return msgspec.json.decode(said.splitlines()[-1], type=config_child.Found)  # log lines may come before


def _median(values: list[float]) -> float:
    return round(statistics.median(values), 3)


def _ratio(ours: list[config_child.Found], bare: list[config_child.Found]) -> float:
    """Return the median of the rounds' ratios: both of a round were measured side by side."""
    return round(statistics.median(a.took_s / b.took_s for a, b in zip(ours, bare, strict=True)), 3)
