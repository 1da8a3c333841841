"""Seeds whose lives do not end well yet, each with what is known of it."""

FAILING = {
    177: "after a takeover the blob reporter never reports an aborted job that completed while watches were silent",
    1122: "an attempt of an aborted ProwJob had two pods",
    1134: "after a takeover a status stays pending although its run, the newest, has failed",
}
