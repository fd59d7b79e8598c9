# For Packer 1.10 and later, whose Amazon builder is a plugin: `packer init plugins.pkr.hcl`, once.
# Packer before 1.14 cannot install these versions: packer/README.md says which it takes.
# Kept apart from models.pkr.hcl because Packer 1.6, which has the builder built in, refuses this block.
packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.8.1"
    }
  }
}
