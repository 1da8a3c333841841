"""The small process each container starts in: namespaces, a root of its own, and a reaper that leaves nothing behind.

Runs on a bare interpreter (`python -I -S`), so the standard library's light parts are all it knows: every import here
is paid at the start of every container. Linux only.
"""
