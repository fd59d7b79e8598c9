# Every target sets up what it needs first (.ci/setup says what it installs, and why); a second run finds it all there.
.PHONY: setup setup-test rehearse test check bench clean
bin := .venv/bin

setup:
	@.ci/setup

# With a second Packer, which takes minutes to build and only the tests need.
setup-test:
	@.ci/setup --test

rehearse: setup
	@$(bin)/capctl rehearse --report rehearsal-report

# Three processes on two cores: tests of real parts mostly wait. In the order of their folders, which ends with the unit tests: by the
# number of tests, a module of one long scene would come last and alone.
test: setup-test
	@$(bin)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check: setup
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy
	$(bin)/lint-imports
	$(bin)/python -m tests.dev docs --check

bench: setup
	@$(bin)/python -m tests.bench

clean:
	rm -rf .venv build dist *.egg-info rehearsal-report .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
