"""Seeds whose lives do not end well yet, each with what is known of it."""

FAILING = {
    1122: (
        "at a takeover a second pod is created, and later deleted, between an aborted job's pod being deleted and its "
        "completion being recorded; who sends it is not known yet"
    ),
}
