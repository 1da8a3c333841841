"""What trigger says to people, in its own words; the commands and labels in them are upstream's."""

from urllib.parse import quote_plus

from prow_async.api.github import User
from prow_async.core import replies, trigger_jobs, trust

COMMAND_HELP = "https://prow.k8s.io/command-help"


def draft() -> str:
    """Say that drafts are not tested by themselves."""
    return replies.announcement(
        "This is a draft, so its jobs do not start by themselves. They will once it is marked ready for review; "
        "until then `/test all` starts them."
    )


def welcome(origin: trigger_jobs.Origin, author: User, invited: bool) -> str:
    """Greet an author nobody vouches for yet, and say what has to happen before jobs start.

    `invited`: they have contributed enough to be told first of all how to join.
    """
    org, link = origin.org, f"{COMMAND_HELP}?repo={quote_plus(origin.full_repo)}"
    hello = f"Hi @{author.login}. Thanks for your pull request."
    if origin.settings.ignore_ok_to_test:
        return replies.announcement(
            f"{hello}\n\nJobs do not start by themselves for authors from outside {org}. Somebody with access to this "
            f"repository can start them with `/test all`. The commands I follow are listed [here]({link})."
        )
    people = f"[{org}]({origin.link_url}/orgs/{org}/people)"
    other = origin.settings.trusted_org
    if other and other != org:
        people += f" or [{other}]({origin.link_url}/orgs/{other}/people)"
    join = origin.settings.join_org_url or f"{origin.link_url}/orgs/{org}/people"
    return replies.announcement(
        f"{hello}\n\nI wait for a member of {people} to see that it is safe to test, and to say so with `/ok-to-test` "
        f"on a line of its own. Jobs start by themselves from then on.\n\n"
        f"{_invitation(origin, join, invited)}\n\n"
        f"Once it is reviewed, jobs can be started with commands, which are listed [here]({link}). "
        f"The label that allows them is `{trust.OK_TO_TEST}`."
    )


def _invitation(origin: trigger_jobs.Origin, join: str, invited: bool) -> str:
    if not invited:
        return f"If you contribute regularly, you can [join the organization]({join}) to skip this step."
    message = origin.settings.org_invite.prominent.message
    if message:
        text = message.replace("{join_org_url}", join)
    else:
        text = (
            f"You have had pull requests merged in {origin.org} before: [join the organization]({join}), and your jobs "
            "start by themselves."
        )
    return "> [!TIP]\n" + "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def untrusted(origin: trigger_jobs.Origin) -> str:
    """Tell somebody whose command is not followed what would have to happen first."""
    if origin.settings.ignore_ok_to_test:
        return "Jobs cannot be started by you here: a trusted person has to say `/test all` on this pull request."
    return "Jobs cannot start until a trusted person has reviewed this pull request and left an `/ok-to-test` comment."


def untrusted_cancel() -> str:
    """Tell somebody that revoking trust takes trust."""
    return "Only trusted people can say `/ok-to-test cancel`."


def own_jobs(note: str) -> str:
    """Say why the repository's own jobs are not among those offered. The note quotes files of anybody."""
    quoted = note.replace("`", "'").replace("<!--", "&lt;!--")
    return f"Jobs that this repository keeps itself are not among them:\n```\n{quoted}\n```"
