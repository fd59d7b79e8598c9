"""A run for tests."""

from lifecycle.domain.run import Run

RUN = Run(id="20260101-000000-abcdef", command="capctl test", user="tester", host="machine")
