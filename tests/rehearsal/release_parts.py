"""What AWS has of a release, made on the emulator without Pulumi."""

from __future__ import annotations

from lifecycle.domain.tags import Tag
from tests.rehearsal.emulator_parts import Batch
from tests.rehearsal.stage_parts import TINY_IMAGE, Aws, until


class ReleaseParts:
    """A launch template, an environment, a queue, a job definition and an instance of one release."""

    def __init__(self, aws: Aws, ami_id: str, project: str, release_id: str) -> None:
        self.release_id = release_id
        self.aws, self.name = aws, f"{project}-{release_id}"
        tags = {Tag.PROJECT.value: project, Tag.RELEASE.value: release_id}
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        self.template: str = aws.ec2.create_launch_template(
            LaunchTemplateName=self.name, LaunchTemplateData={"ImageId": ami_id}
        )["LaunchTemplate"]["LaunchTemplateId"]
        template = {"launchTemplateId": self.template, "version": "1"}
        kind = [{"imageType": "ECS_AL2023_NVIDIA"}]
        self.batch = Batch(aws, ami_id, name=self.name, launchTemplate=template, ec2Configuration=kind).open_queue()
        until(lambda: aws.batch.describe_job_queues(jobQueues=[self.name])["jobQueues"][0]["status"] == "VALID")
        needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
        self.definition: str = aws.batch.register_job_definition(
            jobDefinitionName=self.name,
            type="container",
            containerProperties={"image": TINY_IMAGE, "resourceRequirements": needs},
        )["jobDefinitionArn"]
        self.instance: str = aws.ec2.run_instances(
            ImageId=ami_id,
            MinCount=1,
            MaxCount=1,
            TagSpecifications=[{"ResourceType": "instance", "Tags": listed}],
        )["Instances"][0]["InstanceId"]

    def remove(self) -> None:
        self.batch.close()
        self.aws.batch.deregister_job_definition(jobDefinition=self.definition)
        self.aws.ec2.delete_launch_template(LaunchTemplateId=self.template)
        self.aws.ec2.terminate_instances(InstanceIds=[self.instance])
