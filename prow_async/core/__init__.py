"""The deciding functions: synchronous, pure; bytes and values in, values out."""
