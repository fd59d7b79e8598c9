"""A network of the project's own, for an account that has none to give."""

import ipaddress

import pulumi
from pulumi_aws import ec2

from pulumi_stack.config import BaseConfig, NetworkConfig

# Each zone has its own eighth of the network, by its letter: another zone, or another order of them, moves no subnet.
_ZONES = "abcdefgh"
_EVERYWHERE = "0.0.0.0/0"


class Network(pulumi.ComponentResource):
    """A VPC with a public subnet in each zone, a way to the internet and one to S3, and a group of hosts that nobody can call.

    Hosts have public addresses, since without a NAT gateway they would reach neither ECR nor ECS; the security group has no rule that
    lets anything in.
    """

    def __init__(self, config: BaseConfig, network: NetworkConfig, *, tags: dict[str, str]) -> None:
        super().__init__("capctl:base:Network", "network")
        self._within = pulumi.ResourceOptions(parent=self)
        self._config, self._network, self._tags = config, network, tags
        vpc = ec2.Vpc(
            "network",
            cidr_block=network.cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=self._named(),
            opts=self._within,
        )
        routes = self._routes(vpc)
        self.subnet_ids = [self._subnet(vpc, routes, zone).id for zone in dict.fromkeys(network.zones)]
        self.security_group_ids = [self._group(vpc).id]
        self.register_outputs({})

    def _named(self, suffix: str = "") -> dict[str, str]:
        """EC2 gives these an id and no name; by this tag a person, and a run after a kill, knows them."""
        return {**self._tags, "Name": f"{self._config.project}{suffix and '-'}{suffix}"}

    def _routes(self, vpc: ec2.Vpc) -> ec2.RouteTable:
        gateway = ec2.InternetGateway("network", vpc_id=vpc.id, tags=self._named(), opts=self._within)
        routes = ec2.RouteTable(
            "network",
            vpc_id=vpc.id,
            routes=[ec2.RouteTableRouteArgs(cidr_block=_EVERYWHERE, gateway_id=gateway.id)],
            tags=self._named(),
            opts=self._within,
        )
        # Images and videos are gigabytes, which cost nothing this way.
        ec2.VpcEndpoint(
            "s3",
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{self._config.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[routes.id],
            tags=self._named("s3"),
            opts=self._within,
        )
        return routes

    def _subnet(self, vpc: ec2.Vpc, routes: ec2.RouteTable, zone: str) -> ec2.Subnet:
        subnet = ec2.Subnet(
            zone,
            vpc_id=vpc.id,
            cidr_block=_block(self._network.cidr, zone),
            availability_zone=f"{self._config.region}{zone}",
            map_public_ip_on_launch=True,
            tags=self._named(zone),
            opts=self._within,
        )
        ec2.RouteTableAssociation(zone, route_table_id=routes.id, subnet_id=subnet.id, opts=self._within)
        return subnet

    def _group(self, vpc: ec2.Vpc) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            "hosts",
            name=f"{self._config.project}-hosts",
            description=f"Hosts of the jobs of {self._config.project}",
            vpc_id=vpc.id,
            egress=[ec2.SecurityGroupEgressArgs(protocol="-1", from_port=0, to_port=0, cidr_blocks=[_EVERYWHERE])],
            tags=self._named("hosts"),
            opts=self._within,
        )


def _block(cidr: str, zone: str) -> str:
    eighths = list(ipaddress.ip_network(cidr).subnets(prefixlen_diff=3))
    return str(eighths[_ZONES.index(zone)])
