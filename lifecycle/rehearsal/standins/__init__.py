"""What stands in for the parts of a rehearsal that a machine cannot run: Packer with its instance, and the base image."""

# The parts that have a stand-in.
PARTS = ("machines", "engine", "registry")
