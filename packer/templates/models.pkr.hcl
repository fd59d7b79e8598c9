# An AMI whose /opt/dl-models holds exactly one model set. Accepted by Packer 1.6.6 and by later versions.

variable "region" {
  type        = string
  description = "AWS region of the bake."
}

variable "base_ami" {
  type        = string
  description = "Id of the AMI to start from."
}

variable "ami_name" {
  type        = string
  description = "Name of the AMI; unique in the account, so that of two equal bakes one loses."
}

variable "tags" {
  type        = map(string)
  description = "Tags of the AMI, its snapshot, and the instance and volume of the bake."
}

variable "model_list" {
  type        = string
  description = "Local file: one line per model, `sha256 TAB bytes TAB mode TAB url TAB path`."
}

variable "model_marker" {
  type        = string
  description = "Local file that becomes the marker `.model-set.json`."
}

variable "evidence" {
  type        = string
  description = "Local file that receives what the instance reports of its payload, as JSON."
}

variable "manifest" {
  type        = string
  description = "Local file that receives Packer's manifest, as JSON."
}

variable "custom_data" {
  type        = map(string)
  default     = {}
  description = "Carried into the manifest as it is."
}

variable "instance_type" {
  type        = string
  default     = "m6i.large"
  description = "Instance type of the bake; it copies files, so it needs no GPU."
}

variable "root_device" {
  type        = string
  default     = "/dev/xvda"
  description = "Root device name of the base AMI."
}

variable "volume_gib" {
  type        = number
  default     = 30
  description = "Root volume in GiB; never smaller than the base AMI's snapshot."
}

variable "subnet_id" {
  type        = string
  default     = null
  description = "Subnet of the bake; null = the default VPC."
}

variable "kms_key_id" {
  type        = string
  default     = null
  description = "KMS key of the AMI; null = the account's default key, and then no other account can ever use the AMI."
}

variable "instance_profile" {
  type        = string
  default     = null
  description = "Instance profile of the bake; Session Manager needs one."
}

variable "ssh_username" {
  type        = string
  default     = "ec2-user"
  description = "Login of the base AMI."
}

variable "ssh_interface" {
  type        = string
  default     = "session_manager"
  description = "How Packer reaches the instance: session_manager, private_ip or public_ip."
}

variable "ssh_port" {
  type        = number
  default     = 22
  description = "Port of sshd on the instance."
}

variable "poll_attempts" {
  type        = number
  default     = 720
  description = "How often Packer asks, every 5 seconds, whether an instance, a snapshot or the AMI is ready."
}

variable "custom_endpoint" {
  type        = string
  default     = null
  description = "Address of the EC2 API; null = AWS."
}

locals {
  # Session Manager needs no way in from outside.
  ssh_from = {
    session_manager = ["127.0.0.1/32"]
    private_ip      = ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16"]
    public_ip       = ["0.0.0.0/0"]
  }
}

source "amazon-ebs" "models" {
  region                     = var.region
  custom_endpoint_ec2        = var.custom_endpoint
  skip_region_validation     = var.custom_endpoint != null
  skip_metadata_api_check    = var.custom_endpoint != null
  skip_credential_validation = var.custom_endpoint != null

  source_ami           = var.base_ami
  instance_type        = var.instance_type
  subnet_id            = var.subnet_id
  iam_instance_profile = var.instance_profile
  ena_support          = true
  shutdown_behavior    = "terminate"

  ami_name        = var.ami_name
  tags            = var.tags
  snapshot_tags   = var.tags
  run_tags        = var.tags
  run_volume_tags = var.tags

  launch_block_device_mappings {
    device_name           = var.root_device
    volume_type           = "gp3"
    volume_size           = var.volume_gib
    iops                  = 6000
    throughput            = 500
    encrypted             = true
    kms_key_id            = var.kms_key_id
    delete_on_termination = true
  }

  # Both together: the number of attempts alone would be multiplied by a delay that differs between Packer versions.
  aws_polling {
    delay_seconds = 5
    max_attempts  = var.poll_attempts
  }

  communicator             = "ssh"
  ssh_username             = var.ssh_username
  ssh_interface            = var.ssh_interface
  ssh_port                 = var.ssh_port
  ssh_timeout              = "10m"
  pause_before_ssm         = "15s"
  ssh_file_transfer_method = "sftp"

  temporary_security_group_source_cidrs = local.ssh_from[var.ssh_interface]
}

build {
  sources = ["source.amazon-ebs.models"]

  provisioner "file" {
    source      = var.model_list
    destination = "/tmp/capctl-models.tsv"
  }

  provisioner "file" {
    source      = var.model_marker
    destination = "/tmp/capctl-model-set.json"
  }

  provisioner "shell" {
    scripts = [
      "${path.root}/../provisioners/install-models.sh",
      "${path.root}/../provisioners/clean.sh",
      "${path.root}/../provisioners/validate.sh",
    ]
    environment_vars = [
      "MODEL_LIST=/tmp/capctl-models.tsv",
      "MODEL_MARKER=/tmp/capctl-model-set.json",
      "MODEL_ROOT=/opt/dl-models",
      "EVIDENCE=/tmp/capctl-evidence.json",
      "INSTANCE_ID=${build.ID}",
    ]
    execute_command = "sudo env {{ .Vars }} bash {{ .Path }}"
  }

  provisioner "file" {
    direction   = "download"
    source      = "/tmp/capctl-evidence.json"
    destination = var.evidence
  }

  # Last, so that the snapshot holds the files and not the URLs; without the sync files of zero bytes have been seen in AMIs.
  provisioner "shell" {
    inline = ["sudo rm -f /tmp/capctl-models.tsv /tmp/capctl-model-set.json /tmp/capctl-evidence.json", "sync"]
  }

  post-processor "manifest" {
    output      = var.manifest
    custom_data = var.custom_data
  }
}
