"""The four resources of one release."""

import pulumi
from pulumi_aws import batch, ec2

from pulumi_stack.components.container import container_properties, retry_strategy
from pulumi_stack.components.host import ROOT_DEVICE, image_type, user_data
from pulumi_stack.config import ReleasesConfig, ReleaseSpec
from pulumi_stack.standing import COMPONENT

# Four hours: longer than any capacity shortage that a person would wait out, shorter than a forgotten night.
_MISCONFIGURED_LIMIT_S = 4 * 3600
_MISCONFIGURATIONS = (
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
    "MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS",
)


class Release(pulumi.ComponentResource):
    """Launch template, compute environment, job queue and job definition, all named `<project>-<release id>`.

    No property of them ever changes: another AMI, image or parameter is another release with other names.
    """

    def __init__(self, config: ReleasesConfig, spec: ReleaseSpec) -> None:
        super().__init__(COMPONENT, spec.id, {"record": spec.record})
        self._name = f"{config.project}-{spec.id}"
        self._config, self._spec = config, spec
        self._tags = {
            "capctl:project": config.project,
            "capctl:release": spec.id,
            "capctl:model-set": spec.model_set,
        }
        self._within = pulumi.ResourceOptions(parent=self)
        environment = self._compute_environment(self._launch_template())
        queue = self._job_queue(environment)
        definition = self._job_definition()
        self.register_outputs(
            {
                "record": spec.record,
                "computeEnvironmentArn": environment.arn,
                "jobQueueArn": queue.arn,
                "jobDefinitionArn": definition.arn,
            }
        )

    def _launch_template(self) -> ec2.LaunchTemplate:
        return ec2.LaunchTemplate(
            self._name,
            name=self._name,
            image_id=self._spec.ami_id,
            user_data=user_data(),
            metadata_options=ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            block_device_mappings=[
                ec2.LaunchTemplateBlockDeviceMappingArgs(
                    device_name=ROOT_DEVICE,
                    ebs=ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                        volume_size=self._spec.volume_gib,
                        volume_type="gp3",
                        encrypted="true",
                        delete_on_termination="true",
                    ),
                )
            ],
            tag_specifications=[
                ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=self._tags)
                for kind in ("instance", "volume")
            ],
            tags=self._tags,
            opts=self._within,
        )

    def _compute_environment(self, template: ec2.LaunchTemplate) -> batch.ComputeEnvironment:
        spec = self._spec
        return batch.ComputeEnvironment(
            self._name,
            name=self._name,
            type="MANAGED",
            state="ENABLED",
            compute_resources=batch.ComputeEnvironmentComputeResourcesArgs(
                type="SPOT" if spec.spot else "EC2",
                allocation_strategy="SPOT_PRICE_CAPACITY_OPTIMIZED" if spec.spot else "BEST_FIT_PROGRESSIVE",
                min_vcpus=0,
                max_vcpus=spec.max_vcpus,
                instance_types=list(spec.instance_types),
                instance_role=self._config.instance_profile_arn,
                subnets=list(spec.subnet_ids),
                security_group_ids=list(spec.security_group_ids),
                # The template is made once and has one version; naming it as a literal keeps previews exact.
                launch_template=batch.ComputeEnvironmentComputeResourcesLaunchTemplateArgs(
                    launch_template_id=template.id, version="1"
                ),
                ec2_configurations=[
                    batch.ComputeEnvironmentComputeResourcesEc2ConfigurationArgs(image_type=image_type(spec.gpus))
                ],
                tags=self._tags,
            ),
            tags=self._tags,
            opts=self._within,
        )

    def _job_queue(self, environment: batch.ComputeEnvironment) -> batch.JobQueue:
        return batch.JobQueue(
            self._name,
            name=self._name,
            state="ENABLED",
            priority=1,
            compute_environment_orders=[
                batch.JobQueueComputeEnvironmentOrderArgs(order=1, compute_environment=environment.arn)
            ],
            job_state_time_limit_actions=[
                batch.JobQueueJobStateTimeLimitActionArgs(
                    action="CANCEL", state="RUNNABLE", reason=reason, max_time_seconds=_MISCONFIGURED_LIMIT_S
                )
                for reason in _MISCONFIGURATIONS
            ],
            tags=self._tags,
            opts=self._within,
        )

    def _job_definition(self) -> batch.JobDefinition:
        return batch.JobDefinition(
            self._name,
            name=self._name,
            type="container",
            platform_capabilities=["EC2"],
            container_properties=container_properties(self._config, self._spec),
            retry_strategy=retry_strategy(self._spec.attempts),
            timeout=batch.JobDefinitionTimeoutArgs(attempt_duration_seconds=self._spec.timeout_s),
            propagate_tags=True,
            tags=self._tags,
            opts=self._within,
        )
