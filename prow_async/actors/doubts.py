"""What a leader's predecessor may still be saying, and when to say it again ourselves.

A predecessor whose time ran out (killed, stopped, cut off) may have one last write under way to a server that knows no
conditions, such as GitHub: a status of yesterday would then stand over ours, or a comment stand twice. What it had not
recorded as told is what we tell in the first moments of our term; so that is told once more when nothing of it can be
under way any more, which repairs what came late and changes nothing else.

Until then it is not recorded as told either: should our own term end before, our successor finds it owed, as we did,
and is in doubt in our place.
"""

from prow_async.api.views import JobView

LATE_S = 60.0
"""GitHub gives up a request after 10 s; the rest is for the way to it."""
LIMIT = 500
"""A predecessor has far fewer writes under way at once."""


class Doubts:
    """One reporter's: jobs told of while a predecessor's writes may be under way, and those to be told of again."""

    def __init__(self) -> None:
        self._noting = False
        self._told: dict[str, tuple[str, str]] = {}
        self._again: set[str] = set()

    def begin(self) -> None:
        """A term begins after one that ended without order: note what is told."""
        self._noting = True

    def told(self, job: JobView) -> bool:
        """A job's state was told; True when it is to be told again, and recorded only then."""
        self._again.discard(job.name)
        if not self._noting or (job.name not in self._told and len(self._told) >= LIMIT):
            return False
        self._told[job.name] = job.uid, job.state
        return True

    def holds(self, job: JobView) -> bool:
        """True while this state of the job has been told, and is not to be told again yet."""
        return self._told.get(job.name) == (job.uid, job.state)

    def end(self) -> tuple[str, ...]:
        """LATE_S have passed: return what is to be told again."""
        self._noting = False
        self._again.update(self._told)
        due = tuple(self._told)
        self._told.clear()
        return due

    def __contains__(self, name: str) -> bool:
        """True while a job is to be told of again."""
        return name in self._again

    def settle(self, name: str) -> None:
        """There is nothing to tell of this job in its present state, neither again."""
        self._again.discard(name)

    def forget(self, name: str) -> None:
        self._told.pop(name, None)
        self._again.discard(name)
