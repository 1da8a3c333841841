"""`python -m prow_async` is `prow-async`."""

from prow_async.cli import main

if __name__ == "__main__":
    main()
