"""What can be rehearsed, by name. The words stand apart from the scenes, so that `--help` loads none of them."""

# Parts that have a stand-in.
PARTS = ("machines", "engine", "registry")
SCENES = {"release": "the life of a release: bake, push, deploy, change, break, roll back"}
