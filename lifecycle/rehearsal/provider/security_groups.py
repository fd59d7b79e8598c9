"""Security groups."""

from typing import Any

from lifecycle.rehearsal.provider.network_part import NetworkPart, arn_of, block, unless_gone
from lifecycle.rehearsal.provider.resource import Properties, tag_map
from lifecycle.rehearsal.provider.rules import Rule, apart

_RULE = ("fromPort", "toPort", "protocol", "cidrBlocks", "description")


class SecurityGroup(NetworkPart):
    """A security group with its rules of blocks of addresses; it has no other rules than those that are given."""

    token = "aws:ec2/securityGroup:SecurityGroup"
    applied = frozenset(
        {
            "name",
            "description",
            "vpcId",
            "tags",
            *(f"{way}.{name}" for way in ("egress", "ingress") for name in _RULE),
        }
    )
    invented = frozenset({"name", "description"})
    fixed = frozenset({"name", "namePrefix", "description", "vpcId", "region"})
    rules = (
        block("egress.cidrBlocks", 0, 32),
        block("ingress.cidrBlocks", 0, 32),
        Rule(path="name", holds=lambda name: not name.startswith("sg-"), expected="must not begin with `sg-`"),
        apart("name", "namePrefix"),
    )
    kind = "security-group"

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        ec2 = self._clients["ec2"]
        made = ec2.create_security_group(
            GroupName=inputs["name"],
            Description=inputs["description"],
            VpcId=inputs["vpcId"],
            TagSpecifications=self.tagged(inputs),
        )
        # EC2 gives every group the way out to everywhere, which only what is declared shall give.
        found = ec2.describe_security_groups(GroupIds=[made["GroupId"]])["SecurityGroups"][0]
        if found["IpPermissionsEgress"]:
            ec2.revoke_security_group_egress(GroupId=made["GroupId"], IpPermissions=found["IpPermissionsEgress"])
        self._set_rules(made["GroupId"], {}, inputs)
        return made["GroupId"], _group_computed(found)

    def read(self, resource_id: str) -> Properties | None:
        ask = self._clients["ec2"].describe_security_groups
        found = self.found(lambda: ask(GroupIds=[resource_id])["SecurityGroups"])
        return found and {
            "name": found["GroupName"],
            "description": found["Description"],
            "vpcId": found["VpcId"],
            "egress": [_rule(one) for one in found["IpPermissionsEgress"]],
            "ingress": [_rule(one) for one in found["IpPermissions"]],
            "tags": tag_map(found.get("Tags")),
            **_group_computed(found),
        }

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        self._set_rules(resource_id, old, new)
        self.retag(resource_id, old, new)
        return {}

    def delete(self, resource_id: str) -> None:
        unless_gone(lambda: self._clients["ec2"].delete_security_group(GroupId=resource_id))

    def _set_rules(self, group: str, old: Properties, new: Properties) -> None:
        ec2 = self._clients["ec2"]
        for way in ("egress", "ingress"):
            before, after = old.get(way) or [], new.get(way) or []
            if gone := [_permission(one) for one in before if one not in after]:
                getattr(ec2, f"revoke_security_group_{way}")(GroupId=group, IpPermissions=gone)
            if made := [_permission(one) for one in after if one not in before]:
                getattr(ec2, f"authorize_security_group_{way}")(GroupId=group, IpPermissions=made)


def _permission(rule: Properties) -> dict[str, Any]:
    """A rule as EC2 has it; every protocol has every port."""
    ports = {} if rule["protocol"] == "-1" else {"FromPort": rule["fromPort"], "ToPort": rule["toPort"]}
    described = {"Description": rule["description"]} if rule.get("description") else {}
    ranges = [{"CidrIp": one, **described} for one in rule.get("cidrBlocks") or ()]
    return {"IpProtocol": rule["protocol"], "IpRanges": ranges, **ports}


def _rule(permission: dict[str, Any]) -> Properties:
    ranges = permission.get("IpRanges", [])
    description = next((one["Description"] for one in ranges if one.get("Description")), None)
    is_all = permission["IpProtocol"] == "-1"
    return {
        "protocol": permission["IpProtocol"],
        "fromPort": 0 if is_all else permission.get("FromPort", 0),
        "toPort": 0 if is_all else permission.get("ToPort", 0),
        "cidrBlocks": sorted(one["CidrIp"] for one in ranges),
        **({"description": description} if description else {}),
    }


def _group_computed(found: dict[str, Any]) -> Properties:
    return {"arn": arn_of("security-group", found["GroupId"], found.get("OwnerId"))}
