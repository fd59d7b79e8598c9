"""What every `ports.AmiUsers` does, and which sources the real one reads."""

from __future__ import annotations

import json
import uuid

import pytest

from lifecycle.adapters.aws.ami_users import AwsAmiUsers
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.rehearsal.emulator.launch import Emulator
from tests.contract.users_parts import Account, Aws, in_memory, require_trouble_told, require_use_told


def new_ami() -> str:
    return f"ami-{uuid.uuid4().hex[:17]}"


@pytest.fixture(params=["fake", pytest.param("emulator", marks=pytest.mark.rehearsal)])
def account(request: pytest.FixtureRequest) -> Account:
    if request.param == "fake":
        return in_memory()
    aws: Templates = request.getfixturevalue("aws")
    return Account(users=aws.users, use=aws.parameter)


def test_use_is_told_with_its_kind(account: Account) -> None:
    require_use_told(account, used=new_ami(), unused=new_ami())


class Templates(Aws):
    def template(self, *images: str) -> str:
        """The id of a launch template with a version for each image."""
        name = f"template-{uuid.uuid4().hex[:8]}"
        made = self.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"ImageId": images[0]})
        for image in images[1:]:
            self.ec2.create_launch_template_version(LaunchTemplateName=name, LaunchTemplateData={"ImageId": image})
        return str(made["LaunchTemplate"]["LaunchTemplateId"])


@pytest.fixture(scope="module")
def aws(emulator: Emulator, lasting_session: AwsSession) -> Templates:
    return Templates(lasting_session, AwsAmiUsers(lasting_session), base_ami=emulator.facts["base_ami"])


@pytest.mark.rehearsal
class TestSources:
    """Everything of an account that may use an AMI."""

    def test_instance_uses_its_ami_until_it_is_terminated(self, aws: Templates) -> None:
        started = aws.ec2.run_instances(ImageId=aws.base_ami, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
        image = aws.ec2.create_image(InstanceId=started, Name=f"used-{uuid.uuid4().hex}")["ImageId"]
        user = aws.ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
        assert aws.kinds(image) == {"instance"}
        aws.ec2.stop_instances(InstanceIds=[user])
        assert aws.kinds(image) == {"instance"}
        aws.ec2.terminate_instances(InstanceIds=[user, started])
        assert aws.kinds(image) == set()

    def test_default_latest_and_newest_template_versions_use_their_amis(self, aws: Templates) -> None:
        images = [new_ami() for _ in range(6)]
        aws.template(*images)
        uses = aws.scan(template_versions=2).by_id()
        assert [image in uses for image in images] == [True, False, False, False, True, True]

    def test_latest_template_versions_are_found_beyond_the_first_page(self, aws: Templates) -> None:
        images = [new_ami() for _ in range(20)]
        for image in images:
            aws.template(image)
        assert set(images) <= aws.scan().by_id().keys()

    def test_template_version_that_a_scaling_group_names_uses_its_ami(self, aws: Templates) -> None:
        images = [new_ami() for _ in range(4)]
        template = aws.template(*images)
        aws.autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=f"group-{uuid.uuid4().hex[:8]}",
            MinSize=0,
            MaxSize=0,
            AvailabilityZones=["us-west-2a"],
            LaunchTemplate={"LaunchTemplateId": template, "Version": "2"},
        )
        uses = aws.scan().by_id()
        assert [image in uses for image in images] == [True, True, False, True]

    def test_launch_configuration_uses_its_ami(self, aws: Templates) -> None:
        image = new_ami()
        aws.autoscaling.create_launch_configuration(
            LaunchConfigurationName=f"configuration-{uuid.uuid4().hex[:8]}", ImageId=image, InstanceType="m5.large"
        )
        assert aws.kinds(image) == {"launch configuration"}

    def test_compute_environment_uses_its_override_also_while_it_is_disabled(self, aws: Templates) -> None:
        image, named = new_ami(), [new_ami() for _ in range(4)]
        template = aws.template(*named)
        if not aws.iam.list_instance_profiles()["InstanceProfiles"]:
            aws.iam.create_instance_profile(InstanceProfileName="test")
        profile = aws.iam.list_instance_profiles()["InstanceProfiles"][0]["InstanceProfileName"]
        aws.batch.create_compute_environment(
            computeEnvironmentName=f"environment-{uuid.uuid4().hex[:8]}",
            type="MANAGED",
            state="DISABLED",
            computeResources={
                "type": "EC2",
                "minvCpus": 0,
                "maxvCpus": 4,
                "instanceTypes": ["m5.large"],
                "subnets": [aws.ec2.describe_subnets()["Subnets"][0]["SubnetId"]],
                "securityGroupIds": [aws.ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]],
                "instanceRole": profile,
                "ec2Configuration": [{"imageType": "ECS_AL2023", "imageIdOverride": image}],
                "launchTemplate": {"launchTemplateId": template, "version": "3"},
            },
        )
        assert aws.kinds(image) == {"compute environment"}
        uses = aws.scan().by_id()
        assert [one in uses for one in named] == [True, False, True, True]

    def test_fleet_uses_the_template_version_that_it_names_until_it_is_deleted(self, aws: Templates) -> None:
        images = [aws.base_ami, new_ami(), aws.base_ami, aws.base_ami]
        template = aws.template(*images)
        fleet = aws.ec2.create_fleet(
            LaunchTemplateConfigs=[
                {
                    "LaunchTemplateSpecification": {"LaunchTemplateId": template, "Version": "2"},
                    "Overrides": [{"InstanceType": "m5.large"}],
                }
            ],
            TargetCapacitySpecification={"TotalTargetCapacity": 0, "DefaultTargetCapacityType": "spot"},
        )["FleetId"]
        assert aws.kinds(images[1]) == {"launch template"}
        aws.ec2.delete_fleets(FleetIds=[fleet], TerminateInstances=False)
        assert aws.kinds(images[1]) == set()

    def test_alias_in_a_template_is_resolved(self, aws: Templates) -> None:
        image, older = new_ami(), new_ami()
        name = f"/images/{uuid.uuid4().hex}"
        for value in (older, image):
            aws.ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)
        aws.template(f"resolve:ssm:{name}", f"resolve:ssm:{name}:1")
        assert aws.kinds(image) == {"parameter", "launch template"}
        assert aws.kinds(older) == {"launch template"}

    def test_alias_that_does_not_exist_is_no_use_and_no_trouble(self, aws: Templates) -> None:
        aws.template(f"resolve:ssm:/nobody/{uuid.uuid4().hex}")
        assert aws.scan().unread == ()

    def test_ids_in_the_json_of_a_parameter_count(self, aws: Templates) -> None:
        images = [new_ami() for _ in range(15)]
        for image in images:
            document = json.dumps({"images": {"gpu": [image]}})
            aws.ssm.put_parameter(Name=f"/json/{uuid.uuid4().hex}", Value=document, Type="String")
        assert set(images) <= aws.scan().by_id().keys()

    def test_snapshot_that_a_template_attaches_is_in_use(self, aws: Templates) -> None:
        snapshot = f"snap-{uuid.uuid4().hex[:17]}"
        volumes = [{"DeviceName": "/dev/sdm", "Ebs": {"SnapshotId": snapshot}}]
        aws.ec2.create_launch_template(
            LaunchTemplateName=f"volume-{uuid.uuid4().hex[:8]}", LaunchTemplateData={"BlockDeviceMappings": volumes}
        )
        assert aws.kinds(snapshot) == {"launch template"}

    @pytest.mark.parametrize(
        ("service", "operation", "source"),
        [
            ("ec2", "DescribeInstances", "instances"),
            ("ec2", "DescribeLaunchTemplateVersions", "launch templates"),
            ("ec2", "DescribeFleets", "fleets"),
            ("ec2", "DescribeSpotFleetRequests", "Spot fleets"),
            ("ec2", "DescribeSpotInstanceRequests", "Spot requests"),
            ("autoscaling", "DescribeAutoScalingGroups", "Auto Scaling groups"),
            ("autoscaling", "DescribeLaunchConfigurations", "launch configurations"),
            ("batch", "DescribeComputeEnvironments", "compute environments"),
            ("ssm", "DescribeParameters", "parameters"),
            ("ssm", "GetParameters", "parameters"),
        ],
    )
    def test_source_that_cannot_be_read_is_told_and_nothing_is_raised(
        self, aws: Templates, service: str, operation: str, source: str
    ) -> None:
        aws.ssm.put_parameter(Name=f"/any/{uuid.uuid4().hex}", Value="text", Type="String")
        require_trouble_told(aws, service, operation, source)
