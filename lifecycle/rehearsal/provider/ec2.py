"""Launch templates."""

from typing import Any

from botocore.exceptions import ClientError

from lifecycle.rehearsal.provider.resource import Properties, Resource, changed, tag_change, tag_list, tag_map
from lifecycle.rehearsal.provider.rules import apart, matching, one_of, within

_GONE = {"InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateName.NotFoundException"}
_NOT_DATA = {"name", "tags", "description", "updateDefaultVersion"}
_VOLUME = (
    "volumeSize",
    "volumeType",
    "encrypted",
    "deleteOnTermination",
    "iops",
    "throughput",
    "snapshotId",
    "kmsKeyId",
)
# Booleans that the provider's schema spells as text.
_TEXT_BOOLEANS = {"encrypted", "deleteOnTermination", "ebsOptimized"}


class LaunchTemplate(Resource):
    """A changed property makes another version of the template; a changed name another template."""

    token = "aws:ec2/launchTemplate:LaunchTemplate"
    applied = frozenset(
        {
            "name",
            "imageId",
            "userData",
            "metadataOptions.httpEndpoint",
            "metadataOptions.httpTokens",
            "metadataOptions.httpPutResponseHopLimit",
            "blockDeviceMappings.deviceName",
            *(f"blockDeviceMappings.ebs.{name}" for name in _VOLUME),
            "tagSpecifications",
            "tags",
        }
    )
    fixed = frozenset({"name", "namePrefix", "region"})
    rules = (
        matching("name", r"[A-Za-z0-9().\-/_]{3,128}", "3 to 128 letters, digits and `().-/_`"),
        one_of("metadataOptions.httpEndpoint", "enabled", "disabled"),
        one_of("metadataOptions.httpTokens", "optional", "required"),
        within("metadataOptions.httpPutResponseHopLimit", 1, 64),
        one_of("blockDeviceMappings.ebs.volumeType", "standard", "io1", "io2", "gp2", "gp3", "sc1", "st1"),
        one_of("blockDeviceMappings.ebs.encrypted", "true", "false"),
        one_of("blockDeviceMappings.ebs.deleteOnTermination", "true", "false"),
        apart("name", "namePrefix"),
    )

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        made = self._clients["ec2"].create_launch_template(
            LaunchTemplateName=inputs["name"],
            LaunchTemplateData=_data(inputs),
            TagSpecifications=[{"ResourceType": "launch-template", "Tags": tag_list(inputs.get("tags"))}],
        )["LaunchTemplate"]
        return made["LaunchTemplateId"], _computed(made)

    def read(self, resource_id: str) -> Properties | None:
        ec2 = self._clients["ec2"]
        try:
            found = ec2.describe_launch_templates(LaunchTemplateIds=[resource_id])["LaunchTemplates"]
            if not found:
                return None
            versions = ec2.describe_launch_template_versions(LaunchTemplateId=resource_id, Versions=["$Latest"])
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                return None
            raise
        data = _inputs(versions["LaunchTemplateVersions"][0]["LaunchTemplateData"])
        tags = tag_map(found[0].get("Tags"))
        return {"name": found[0]["LaunchTemplateName"], "tags": tags, **data, **_computed(found[0])}

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        ec2 = self._clients["ec2"]
        if changed(old, new) - _NOT_DATA:
            ec2.create_launch_template_version(LaunchTemplateId=resource_id, LaunchTemplateData=_data(new))
        put, gone = tag_change(old, new)
        if gone:
            ec2.delete_tags(Resources=[resource_id], Tags=[{"Key": key} for key in gone])
        if put:
            ec2.create_tags(Resources=[resource_id], Tags=tag_list(put))
        return _computed(ec2.describe_launch_templates(LaunchTemplateIds=[resource_id])["LaunchTemplates"][0])

    def delete(self, resource_id: str) -> None:
        try:
            self._clients["ec2"].delete_launch_template(LaunchTemplateId=resource_id)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _GONE:
                raise


def _computed(template: dict[str, Any]) -> Properties:
    return {
        "arn": f"arn:aws:ec2:::launch-template/{template['LaunchTemplateId']}",
        "defaultVersion": template["DefaultVersionNumber"],
        "latestVersion": template["LatestVersionNumber"],
    }


def _data(inputs: Properties) -> dict[str, Any]:
    """The template's data as EC2 names it."""
    data: dict[str, Any] = _renamed({k: v for k, v in inputs.items() if k not in _NOT_DATA}, _upper)
    return data


def _inputs(data: dict[str, Any]) -> Properties:
    """EC2's template data as the provider's schema names it."""
    inputs: Properties = _renamed({k: v for k, v in data.items() if v not in ([], {}, None)}, _lower)
    if "tagSpecifications" in inputs:
        # moto lists the template's own tags here too, as no AWS answer does.
        launched = [tags for tags in inputs["tagSpecifications"] if tags["resourceType"] != "launch-template"]
        inputs["tagSpecifications"] = launched
    return inputs


def _renamed(value: Any, rename: Any) -> Any:
    if isinstance(value, list):
        return [_renamed(item, rename) for item in value]
    if not isinstance(value, dict):
        return value
    return {rename(name): _value(rename(name), item, rename) for name, item in value.items()}


def _value(name: str, item: Any, rename: Any) -> Any:
    if name == "Tags":
        return tag_list(item)
    if name == "tags":
        return tag_map(item)
    if name[:1].lower() + name[1:] in _TEXT_BOOLEANS:
        return item == "true" if rename is _upper else str(item).lower()
    return _renamed(item, rename)


def _upper(name: str) -> str:
    return name[:1].upper() + name[1:]


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]
