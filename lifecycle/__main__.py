"""`python -m lifecycle` is `capctl`."""

from lifecycle.cli.main import main

main()
