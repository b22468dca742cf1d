"""`python -m deckeras`, the same as the command `deckeras`."""

import sys

from deckeras.cli import main

sys.exit(main())
