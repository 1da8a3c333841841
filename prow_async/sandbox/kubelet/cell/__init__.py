"""The small process each container starts in: namespaces, a root of its own, and a reaper that leaves nothing behind.

Cells are forked from one server process on a bare interpreter (`python -I -S`), so that a container costs milliseconds.
The standard library's light parts are all these modules know. Linux only.
"""
