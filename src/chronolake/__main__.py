"""`python -m chronolake` is `chronolake`."""

from chronolake.cli import main

if __name__ == "__main__":
    main()
