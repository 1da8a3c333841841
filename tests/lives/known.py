"""Seeds whose lives do not end well yet, each with what is known of it."""

FAILING = {
    177: "after a takeover the blob reporter never reports an aborted job that completed while watches were silent",
}
