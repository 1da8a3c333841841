"""The durable inbox: an append-only log of segments that are used again, and a SQLite file of the keys.

Read `durable` for the front, `store` for the order of writes, `segment` and `records` for the bytes. Why it is so:
docs/decisions/0002-inbox.md.
"""
