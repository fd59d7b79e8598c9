"""How the subnets of a VPC reach the internet and S3."""

# ruff: noqa: ARG002 - `Resource` fixes the arguments.
from typing import Any

from lifecycle.rehearsal.provider.network_part import NetworkPart, arn_of, block, unless_gone
from lifecycle.rehearsal.provider.resource import Properties, changed, tag_map
from lifecycle.rehearsal.provider.rules import apart, document, one_of


class InternetGateway(NetworkPart):
    """The way to the internet of the VPC that it is attached to."""

    token = "aws:ec2/internetGateway:InternetGateway"
    applied = frozenset({"vpcId", "tags"})
    fixed = frozenset({"region"})
    kind = "internet-gateway"

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        ec2 = self._clients["ec2"]
        made = ec2.create_internet_gateway(TagSpecifications=self.tagged(inputs))["InternetGateway"]
        if inputs.get("vpcId"):
            ec2.attach_internet_gateway(InternetGatewayId=made["InternetGatewayId"], VpcId=inputs["vpcId"])
        return made["InternetGatewayId"], _gateway_computed(made)

    def read(self, resource_id: str) -> Properties | None:
        found = self._get(resource_id)
        if found is None:
            return None
        return {"vpcId": _attached(found), "tags": tag_map(found.get("Tags")), **_gateway_computed(found)}

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        if "vpcId" in changed(old, new):
            self._detach(resource_id)
            if new.get("vpcId"):
                self._clients["ec2"].attach_internet_gateway(InternetGatewayId=resource_id, VpcId=new["vpcId"])
        self.retag(resource_id, old, new)
        return {}

    def delete(self, resource_id: str) -> None:
        self._detach(resource_id)
        unless_gone(lambda: self._clients["ec2"].delete_internet_gateway(InternetGatewayId=resource_id))

    def _get(self, gateway: str) -> dict[str, Any] | None:
        ask = self._clients["ec2"].describe_internet_gateways
        return self.found(lambda: ask(InternetGatewayIds=[gateway])["InternetGateways"])

    def _detach(self, gateway: str) -> None:
        if vpc := _attached(self._get(gateway) or {}):
            self._clients["ec2"].detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)


class RouteTable(NetworkPart):
    """A route table of a VPC, with the routes that it does not have by itself."""

    token = "aws:ec2/routeTable:RouteTable"
    applied = frozenset({"vpcId", "routes.cidrBlock", "routes.gatewayId", "tags"})
    fixed = frozenset({"vpcId", "region"})
    rules = (block("routes.cidrBlock", 0, 32),)
    kind = "route-table"

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        made = self._clients["ec2"].create_route_table(VpcId=inputs["vpcId"], TagSpecifications=self.tagged(inputs))
        table = made["RouteTable"]
        for route in inputs.get("routes") or ():
            self._add(table["RouteTableId"], route)
        return table["RouteTableId"], _table_computed(table)

    def read(self, resource_id: str) -> Properties | None:
        ask = self._clients["ec2"].describe_route_tables
        found = self.found(lambda: ask(RouteTableIds=[resource_id])["RouteTables"])
        if found is None:
            return None
        routes = [
            {"cidrBlock": route["DestinationCidrBlock"], "gatewayId": route["GatewayId"]}
            for route in found["Routes"]
            # The VPC's own route, and those of endpoints, belong to no table's configuration.
            if "DestinationCidrBlock" in route and not route.get("GatewayId", "local").startswith(("local", "vpce-"))
        ]
        return {
            "vpcId": found["VpcId"],
            "routes": sorted(routes, key=lambda route: str(route["cidrBlock"])),
            "tags": tag_map(found.get("Tags")),
            **_table_computed(found),
        }

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        before = {route["cidrBlock"]: route for route in old.get("routes") or ()}
        after = {route["cidrBlock"]: route for route in new.get("routes") or ()}
        for destination in sorted(before.keys() - after.keys()):
            self._clients["ec2"].delete_route(RouteTableId=resource_id, DestinationCidrBlock=destination)
        for destination, route in after.items():
            if destination not in before:
                self._add(resource_id, route)
            elif route != before[destination]:
                self._clients["ec2"].replace_route(
                    RouteTableId=resource_id, DestinationCidrBlock=destination, GatewayId=route["gatewayId"]
                )
        self.retag(resource_id, old, new)
        return {}

    def delete(self, resource_id: str) -> None:
        unless_gone(lambda: self._clients["ec2"].delete_route_table(RouteTableId=resource_id))

    def _add(self, table: str, route: Properties) -> None:
        self._clients["ec2"].create_route(
            RouteTableId=table, DestinationCidrBlock=route["cidrBlock"], GatewayId=route["gatewayId"]
        )


class RouteTableAssociation(NetworkPart):
    """Which route table a subnet has.

    AWS's provider changes the table in place and gets another id, of which an update cannot tell the engine: here it is replaced.
    """

    token = "aws:ec2/routeTableAssociation:RouteTableAssociation"
    applied = frozenset({"routeTableId", "subnetId"})
    fixed = frozenset({"routeTableId", "subnetId", "gatewayId", "region"})
    rules = (apart("subnetId", "gatewayId"),)

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        made = self._clients["ec2"].associate_route_table(
            RouteTableId=inputs["routeTableId"], SubnetId=inputs["subnetId"]
        )
        return made["AssociationId"], {}

    def read(self, resource_id: str) -> Properties | None:
        filters = [{"Name": "association.route-table-association-id", "Values": [resource_id]}]
        ask = self._clients["ec2"].describe_route_tables
        found = self.found(lambda: ask(Filters=filters)["RouteTables"])
        for association in (found or {}).get("Associations", ()):
            if association["RouteTableAssociationId"] == resource_id:
                return {"routeTableId": association["RouteTableId"], "subnetId": association["SubnetId"]}
        return None

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        return {}

    def delete(self, resource_id: str) -> None:
        unless_gone(lambda: self._clients["ec2"].disassociate_route_table(AssociationId=resource_id))


class VpcEndpoint(NetworkPart):
    """A gateway endpoint: the way to a service of AWS that does not go over the internet."""

    token = "aws:ec2/vpcEndpoint:VpcEndpoint"
    applied = frozenset({"vpcId", "serviceName", "vpcEndpointType", "routeTableIds", "policy", "tags"})
    fixed = frozenset(
        {
            "vpcId",
            "serviceName",
            "vpcEndpointType",
            "serviceRegion",
            "serviceNetworkArn",
            "resourceConfigurationArn",
            "region",
        }
    )
    rules = (one_of("vpcEndpointType", "Gateway"), document("policy"))
    kind = "vpc-endpoint"

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        policy = {"PolicyDocument": inputs["policy"]} if inputs.get("policy") else {}
        made = self._clients["ec2"].create_vpc_endpoint(
            VpcId=inputs["vpcId"],
            ServiceName=inputs["serviceName"],
            VpcEndpointType=inputs.get("vpcEndpointType") or "Gateway",
            RouteTableIds=inputs.get("routeTableIds") or [],
            TagSpecifications=self.tagged(inputs),
            **policy,
        )["VpcEndpoint"]
        return made["VpcEndpointId"], {"arn": arn_of("vpc-endpoint", made["VpcEndpointId"], made.get("OwnerId"))}

    def read(self, resource_id: str) -> Properties | None:
        ask = self._clients["ec2"].describe_vpc_endpoints
        found = self.found(lambda: ask(VpcEndpointIds=[resource_id])["VpcEndpoints"])
        if found is None or found.get("State", "").lower() in {"deleted", "deleting"}:
            return None
        return {
            "vpcId": found["VpcId"],
            "serviceName": found["ServiceName"],
            "vpcEndpointType": found["VpcEndpointType"],
            "routeTableIds": sorted(found.get("RouteTableIds") or []),
            "policy": found.get("PolicyDocument"),
            "tags": tag_map(found.get("Tags")),
            "arn": arn_of("vpc-endpoint", resource_id, found.get("OwnerId")),
        }

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        names = changed(old, new)
        if names & {"policy", "routeTableIds"}:
            before, after = {*(old.get("routeTableIds") or ())}, {*(new.get("routeTableIds") or ())}
            policy = {"PolicyDocument": new["policy"]} if new.get("policy") else {"ResetPolicy": True}
            self._clients["ec2"].modify_vpc_endpoint(
                VpcEndpointId=resource_id,
                AddRouteTableIds=sorted(after - before),
                RemoveRouteTableIds=sorted(before - after),
                **(policy if "policy" in names else {}),
            )
        self.retag(resource_id, old, new)
        return {}

    def delete(self, resource_id: str) -> None:
        unless_gone(lambda: self._clients["ec2"].delete_vpc_endpoints(VpcEndpointIds=[resource_id]))


def _gateway_computed(found: dict[str, Any]) -> Properties:
    return {"arn": arn_of("internet-gateway", found["InternetGatewayId"], found.get("OwnerId"))}


def _table_computed(found: dict[str, Any]) -> Properties:
    return {"arn": arn_of("route-table", found["RouteTableId"], found.get("OwnerId"))}


def _attached(gateway: dict[str, Any]) -> str | None:
    return next((str(one["VpcId"]) for one in gateway.get("Attachments") or ()), None)
