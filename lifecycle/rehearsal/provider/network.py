"""A VPC and its subnets."""

from typing import Any

from lifecycle.rehearsal.provider.network_part import NetworkPart, arn_of, block, unless_gone
from lifecycle.rehearsal.provider.resource import Properties, tag_map
from lifecycle.rehearsal.provider.rules import apart, one_of


class Vpc(NetworkPart):
    """A VPC; its block is for life."""

    token = "aws:ec2/vpc:Vpc"
    applied = frozenset({"cidrBlock", "enableDnsHostnames", "enableDnsSupport", "instanceTenancy", "tags"})
    fixed = frozenset({"cidrBlock", "instanceTenancy", "ipv4IpamPoolId", "ipv4NetmaskLength", "region"})
    rules = (
        block("cidrBlock"),
        one_of("instanceTenancy", "default", "dedicated"),
        apart("cidrBlock", "ipv4IpamPoolId"),
    )
    kind = "vpc"
    _DNS = (("enableDnsSupport", True), ("enableDnsHostnames", False))

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        ec2 = self._clients["ec2"]
        made = ec2.create_vpc(
            CidrBlock=inputs["cidrBlock"],
            InstanceTenancy=inputs.get("instanceTenancy") or "default",
            TagSpecifications=self.tagged(inputs),
        )["Vpc"]
        ec2.get_waiter("vpc_available").wait(VpcIds=[made["VpcId"]], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        self._set_dns(made["VpcId"], {}, inputs)
        return made["VpcId"], _vpc_computed(made)

    def read(self, resource_id: str) -> Properties | None:
        ec2 = self._clients["ec2"]
        found = self.found(lambda: ec2.describe_vpcs(VpcIds=[resource_id])["Vpcs"])
        if found is None:
            return None
        dns = {
            name: ec2.describe_vpc_attribute(VpcId=resource_id, Attribute=name)[_upper(name)]["Value"]
            for name, _ in self._DNS
        }
        return {
            "cidrBlock": found["CidrBlock"],
            "instanceTenancy": found["InstanceTenancy"],
            "tags": tag_map(found.get("Tags")),
            **dns,
            **_vpc_computed(found),
        }

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        self._set_dns(resource_id, old, new)
        self.retag(resource_id, old, new)
        return {}

    def delete(self, resource_id: str) -> None:
        unless_gone(lambda: self._clients["ec2"].delete_vpc(VpcId=resource_id))

    def replaced_by(self, old: Properties, new: Properties) -> set[str]:
        replaces = super().replaced_by(old, new)
        # A VPC of one's own hardware can become a common one.
        became_common = (old.get("instanceTenancy"), new.get("instanceTenancy") or "default") == (
            "dedicated",
            "default",
        )
        return replaces - {"instanceTenancy"} if became_common else replaces

    def _set_dns(self, vpc: str, old: Properties, new: Properties) -> None:
        ec2 = self._clients["ec2"]
        if old and old.get("instanceTenancy") != new.get("instanceTenancy"):
            ec2.modify_vpc_tenancy(VpcId=vpc, InstanceTenancy="default")
        for name, default in self._DNS:
            before, after = old.get(name), new.get(name)
            wanted = default if after is None else after
            if wanted != (default if before is None else before):
                ec2.modify_vpc_attribute(VpcId=vpc, **{_upper(name): {"Value": wanted}})


class Subnet(NetworkPart):
    """A subnet; its block and its zone are for life."""

    token = "aws:ec2/subnet:Subnet"
    applied = frozenset({"vpcId", "cidrBlock", "availabilityZone", "mapPublicIpOnLaunch", "tags"})
    fixed = frozenset(
        {
            "vpcId",
            "cidrBlock",
            "availabilityZone",
            "availabilityZoneId",
            "ipv4IpamPoolId",
            "ipv4NetmaskLength",
            "ipv6Native",
            "outpostArn",
            "region",
        }
    )
    rules = (block("cidrBlock"), apart("availabilityZone", "availabilityZoneId"))
    kind = "subnet"

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        ec2 = self._clients["ec2"]
        zone = {"AvailabilityZone": inputs["availabilityZone"]} if inputs.get("availabilityZone") else {}
        made = ec2.create_subnet(
            VpcId=inputs["vpcId"], CidrBlock=inputs["cidrBlock"], TagSpecifications=self.tagged(inputs), **zone
        )["Subnet"]
        ec2.get_waiter("subnet_available").wait(
            SubnetIds=[made["SubnetId"]], WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        self._set_public(made["SubnetId"], {}, inputs)
        return made["SubnetId"], _subnet_computed(made)

    def read(self, resource_id: str) -> Properties | None:
        found = self.found(lambda: self._clients["ec2"].describe_subnets(SubnetIds=[resource_id])["Subnets"])
        return found and {
            "vpcId": found["VpcId"],
            "cidrBlock": found["CidrBlock"],
            "availabilityZone": found["AvailabilityZone"],
            "mapPublicIpOnLaunch": found["MapPublicIpOnLaunch"],
            "tags": tag_map(found.get("Tags")),
            **_subnet_computed(found),
        }

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        self._set_public(resource_id, old, new)
        self.retag(resource_id, old, new)
        return {}

    def delete(self, resource_id: str) -> None:
        unless_gone(lambda: self._clients["ec2"].delete_subnet(SubnetId=resource_id))

    def _set_public(self, subnet: str, old: Properties, new: Properties) -> None:
        wanted = new.get("mapPublicIpOnLaunch") or False
        if wanted != (old.get("mapPublicIpOnLaunch") or False):
            self._clients["ec2"].modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": wanted})


def _vpc_computed(found: dict[str, Any]) -> Properties:
    return {"arn": arn_of("vpc", found["VpcId"], found.get("OwnerId"))}


def _subnet_computed(found: dict[str, Any]) -> Properties:
    return {"arn": found.get("SubnetArn", "")}


def _upper(name: str) -> str:
    return name[:1].upper() + name[1:]
