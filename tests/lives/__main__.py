"""`python -m tests.lives SEED`: live one seed again, and tell all of it."""

import argparse
import sys

from tests.lives import life


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lives", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("--to", type=int, help="live all seeds from SEED to this one, telling failures only")
    parser.add_argument("--kill", type=int, metavar="N", help="kill the engine after its N-th write, and only then")
    parser.add_argument("--quiet", action="store_true", help="tell the outcome only")
    wanted = parser.parse_args()
    wrong = jobs = 0
    with life.many():
        for seed in range(wanted.seed, (wanted.to or wanted.seed) + 1):
            tell = None if wanted.quiet or wanted.to else print
            outcome = life.live(seed, wanted.kill, tell=tell)
            jobs += outcome.jobs
            if outcome.trouble:
                wrong += 1
                print(outcome)
            elif not wanted.to:
                print(
                    f"seed {seed}: {outcome.deliveries} deliveries, {outcome.jobs} ProwJobs, {outcome.pods} pods,"
                    f" {outcome.writes} writes, {outcome.deaths} kills, {outcome.virtual_s:.0f} virtual seconds:"
                    " all well"
                )
    if wanted.to:
        print(f"{wanted.to - wanted.seed + 1} lives, {jobs} ProwJobs: {wrong} went wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
