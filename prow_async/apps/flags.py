"""Command-line flags of the components: the parser is core/goflags, which the programs in a job's pod share."""

from prow_async.core.goflags import Flag, Flags, Help, Kind, Value, parse, usage

__all__ = ["Flag", "Flags", "Help", "Kind", "Value", "parse", "usage"]
