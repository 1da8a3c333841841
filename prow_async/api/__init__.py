"""The nouns, as msgspec Structs. Data only: nothing here decides, reads a clock or does I/O."""
