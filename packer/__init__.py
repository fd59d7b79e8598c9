"""The AMI recipe: a Packer template, its provisioners, its variables, and the reader of its manifest."""

from pathlib import Path

TEMPLATE = Path(__file__).parent / "templates" / "models.pkr.hcl"
PLUGINS = Path(__file__).parent / "templates" / "plugins.pkr.hcl"
PROVISIONERS = tuple(
    Path(__file__).parent / "provisioners" / name for name in ("install-models.sh", "clean.sh", "validate.sh")
)
# The last one is also how an instance of the AMI is checked, by this script.
VALIDATE = PROVISIONERS[-1]
BOOT = Path(__file__).parent / "provisioners" / "boot.sh"
# Each line that a provisioner ends with when it fails: `capctl-bake: CODE: SUBJECT: WHY`.
FAILURE_PREFIX = "capctl-bake: "
