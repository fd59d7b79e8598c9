"""Roles, their inline and attached policies, instance profiles."""

# ruff: noqa: ARG002 - `Resource` fixes the arguments.
import json
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.rehearsal.provider.resource import Properties, Resource, changed, tag_change, tag_list, tag_map
from lifecycle.rehearsal.provider.rules import apart, document, matching

_WORDS = "letters, digits and `+=,.@_-`"
_NAME = matching("name", r"[A-Za-z0-9+=,.@_-]{1,64}", f"1 to 64 {_WORDS}")


class Role(Resource):
    """A role; its trust policy changes in place."""

    token = "aws:iam/role:Role"
    applied = frozenset({"name", "assumeRolePolicy", "tags"})
    fixed = frozenset({"name", "namePrefix", "path"})
    rules = (_NAME, document("assumeRolePolicy"), apart("name", "namePrefix"))

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
        if "assumeRolePolicy" in changed(old, new):
            iam.update_assume_role_policy(RoleName=resource_id, PolicyDocument=new["assumeRolePolicy"])
        put, gone = tag_change(old, new)
        if gone:
            iam.untag_role(RoleName=resource_id, TagKeys=gone)
        if put:
            iam.tag_role(RoleName=resource_id, Tags=tag_list(put))
        return _role_computed(iam.get_role(RoleName=resource_id)["Role"])

    def delete(self, resource_id: str) -> None:
        _found(lambda: self._clients["iam"].delete_role(RoleName=resource_id))


class RolePolicy(Resource):
    """An inline policy; its id is `role:policy`."""

    token = "aws:iam/rolePolicy:RolePolicy"
    applied = frozenset({"role", "name", "policy"})
    fixed = frozenset({"name", "namePrefix", "role"})
    rules = (matching("name", r"[A-Za-z0-9+=,.@_-]{1,128}", _WORDS), document("policy"), apart("name", "namePrefix"))

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

    def _put(self, inputs: Properties) -> None:
        self._clients["iam"].put_role_policy(
            RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"]
        )


class RolePolicyAttachment(Resource):
    """A managed policy attached to a role; its id is `role/policy ARN`."""

    token = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    applied = frozenset({"role", "policyArn"})
    invented = frozenset()
    fixed = frozenset({"role", "policyArn"})
    rules = (matching("policyArn", r"arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/.+", "the ARN of a policy"),)

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


class InstanceProfile(Resource):
    """An instance profile with its one role."""

    token = "aws:iam/instanceProfile:InstanceProfile"
    applied = frozenset({"name", "role", "tags"})
    fixed = frozenset({"name", "namePrefix", "path"})
    rules = (matching("name", r"[A-Za-z0-9+=,.@_-]{1,128}", _WORDS), apart("name", "namePrefix"))

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
        tags = tag_map(found.get("Tags"))
        return {"name": resource_id, "role": roles[0] if roles else "", "tags": tags, **_profile_computed(found)}

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        iam = self._clients["iam"]
        if old.get("role") != new["role"]:
            if old.get("role"):  # none, where a kill came between the making of the profile and the adding of its role
                iam.remove_role_from_instance_profile(InstanceProfileName=resource_id, RoleName=old["role"])
            iam.add_role_to_instance_profile(InstanceProfileName=resource_id, RoleName=new["role"])
        put, gone = tag_change(old, new)
        if gone:
            iam.untag_instance_profile(InstanceProfileName=resource_id, TagKeys=gone)
        if put:
            iam.tag_instance_profile(InstanceProfileName=resource_id, Tags=tag_list(put))
        return {}

    def delete(self, resource_id: str) -> None:
        iam = self._clients["iam"]
        for role in (self._get(resource_id) or {"Roles": []})["Roles"]:
            iam.remove_role_from_instance_profile(InstanceProfileName=resource_id, RoleName=role["RoleName"])
        _found(lambda: iam.delete_instance_profile(InstanceProfileName=resource_id))

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
