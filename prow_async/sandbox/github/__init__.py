"""A small GitHub with GitHub's rules: a synchronous state machine (`world`, `rest`) with doors `direct` and `http`."""
