"""The form of what the bot writes into conversations.

Source: upstream pkg/plugins/respond.go.
"""

ABOUT_BOT = (
    "I am the bot that runs this repository's jobs, and I follow commands written in comments. "
    "[This list](https://prow.k8s.io/command-help) explains them."
)

QUOTED_MAX = 20_000
"""Longest quotation, in characters: GitHub takes no comment over 65,536, and our own words have to fit beside it."""


def reply(login: str, text: str, quoted: str, quoted_url: str) -> str:
    """Answer a person, with their own words quoted under a fold.

    HTML comments in the quote are made visible: hidden marks are the bot's own means of finding its comments again.
    """
    whole = "\n".join(f">{line.rstrip()}" for line in quoted.replace("<!--", "&lt;!--").split("\n"))
    quote = whole if len(whole) <= QUOTED_MAX else f"{whole[:QUOTED_MAX]} ..."
    details = folded(f"In response to [this]({quoted_url}):\n\n{quote}\n\n{ABOUT_BOT}")
    return f"@{login}: {text}\n\n{details}"


def announcement(text: str) -> str:
    """Say something to nobody in particular."""
    return f"{text}\n\n{folded(ABOUT_BOT)}"


def folded(text: str) -> str:
    """Put text under a fold that is closed at first."""
    return f"<details>\n\n{text}\n</details>"


def wrote(login: str, bot_login: str) -> bool:
    """True when the login is the bot's own, as GitHub writes it: an app's ends in `[bot]`, an account's never does.

    So neither a person who is called as the app is counts as it, nor an app that is called as our account is.
    """
    return bool(bot_login) and login == bot_login
