"""Roles, their inline and attached policies, instance profiles."""

# ruff: noqa: ARG002 - the protocol `Resource` fixes the arguments.
import json
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.rehearsal.provider.clients import Clients
from lifecycle.rehearsal.provider.resource import Properties, changed, tag_list, tag_map


class Role:
    """A role; its trust policy changes in place."""

    token = "aws:iam/role:Role"

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        made = self._clients["iam"].create_role(
            RoleName=inputs["name"],
            AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
            Tags=tag_list(inputs.get("tags")),
        )["Role"]
        return inputs["name"], _role_computed(made)

    def read(self, resource_id: str) -> Properties | None:
        found = _found(lambda: self._clients["iam"].get_role(RoleName=resource_id)["Role"])
        if found is None:
            return None
        return {
            "name": found["RoleName"],
            "assumeRolePolicy": _text(found["AssumeRolePolicyDocument"]),
            "tags": tag_map(found.get("Tags")),
            **_role_computed(found),
        }

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        iam = self._clients["iam"]
        iam.update_assume_role_policy(RoleName=resource_id, PolicyDocument=new["assumeRolePolicy"])
        iam.tag_role(RoleName=resource_id, Tags=tag_list(new.get("tags")))
        return _role_computed(iam.get_role(RoleName=resource_id)["Role"])

    def delete(self, resource_id: str) -> None:
        _found(lambda: self._clients["iam"].delete_role(RoleName=resource_id))

    def replaced_by(self, old: Properties, new: Properties) -> set[str]:
        return changed(old, new) & {"name", "namePrefix", "path"}


class RolePolicy:
    """An inline policy; its id is `role:policy`."""

    token = "aws:iam/rolePolicy:RolePolicy"

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        self._put(inputs)
        return f"{inputs['role']}:{inputs['name']}", {}

    def read(self, resource_id: str) -> Properties | None:
        role, _, name = resource_id.partition(":")
        found = _found(lambda: self._clients["iam"].get_role_policy(RoleName=role, PolicyName=name))
        return found and {"role": role, "name": name, "policy": _text(found["PolicyDocument"])}

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        self._put(new)
        return {}

    def delete(self, resource_id: str) -> None:
        role, _, name = resource_id.partition(":")
        _found(lambda: self._clients["iam"].delete_role_policy(RoleName=role, PolicyName=name))

    def replaced_by(self, old: Properties, new: Properties) -> set[str]:
        return changed(old, new) & {"name", "namePrefix", "role"}

    def _put(self, inputs: Properties) -> None:
        self._clients["iam"].put_role_policy(
            RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"]
        )


class RolePolicyAttachment:
    """A managed policy attached to a role; its id is `role/policy ARN`."""

    token = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        self._clients["iam"].attach_role_policy(RoleName=inputs["role"], PolicyArn=inputs["policyArn"])
        return f"{inputs['role']}/{inputs['policyArn']}", {}

    def read(self, resource_id: str) -> Properties | None:
        role, _, arn = resource_id.partition("/")
        found = _found(lambda: self._clients["iam"].list_attached_role_policies(RoleName=role)["AttachedPolicies"])
        is_attached = arn in [policy["PolicyArn"] for policy in found or ()]
        return {"role": role, "policyArn": arn} if is_attached else None

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        return {}

    def delete(self, resource_id: str) -> None:
        role, _, arn = resource_id.partition("/")
        _found(lambda: self._clients["iam"].detach_role_policy(RoleName=role, PolicyArn=arn))

    def replaced_by(self, old: Properties, new: Properties) -> set[str]:
        return changed(old, new) & {"role", "policyArn"}


class InstanceProfile:
    """An instance profile with its one role."""

    token = "aws:iam/instanceProfile:InstanceProfile"

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        iam, name = self._clients["iam"], inputs["name"]
        made = iam.create_instance_profile(InstanceProfileName=name, Tags=tag_list(inputs.get("tags")))
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=inputs["role"])
        return name, _profile_computed(made["InstanceProfile"])

    def read(self, resource_id: str) -> Properties | None:
        found = self._get(resource_id)
        if found is None:
            return None
        roles = [role["RoleName"] for role in found["Roles"]]
        return {"name": resource_id, "role": roles[0] if roles else "", **_profile_computed(found)}

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        iam = self._clients["iam"]
        if old.get("role") != new["role"]:
            iam.remove_role_from_instance_profile(InstanceProfileName=resource_id, RoleName=old["role"])
            iam.add_role_to_instance_profile(InstanceProfileName=resource_id, RoleName=new["role"])
        return {}

    def delete(self, resource_id: str) -> None:
        iam = self._clients["iam"]
        for role in (self._get(resource_id) or {"Roles": []})["Roles"]:
            iam.remove_role_from_instance_profile(InstanceProfileName=resource_id, RoleName=role["RoleName"])
        _found(lambda: iam.delete_instance_profile(InstanceProfileName=resource_id))

    def replaced_by(self, old: Properties, new: Properties) -> set[str]:
        return changed(old, new) & {"name", "namePrefix", "path"}

    def _get(self, name: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = _found(
            lambda: self._clients["iam"].get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
        )
        return found


def _found(ask: Any) -> Any:
    """The answer, or None when IAM knows no such thing."""
    try:
        return ask()
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchEntity":
            return None
        raise


def _text(document: Any) -> str:
    """A policy document as the programs write it."""
    return document if isinstance(document, str) else json.dumps(document, sort_keys=True)


def _role_computed(role: dict[str, Any]) -> Properties:
    return {"arn": role["Arn"], "uniqueId": role["RoleId"]}


def _profile_computed(profile: dict[str, Any]) -> Properties:
    return {"arn": profile["Arn"], "uniqueId": profile["InstanceProfileId"]}
