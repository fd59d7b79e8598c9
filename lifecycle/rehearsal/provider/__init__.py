"""The Pulumi resource provider `aws` of the rehearsal: applies resources to the emulator through boto3, and to nothing else."""
