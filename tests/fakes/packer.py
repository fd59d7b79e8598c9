"""Variables of a bake, with files of their names beside them."""

from pathlib import Path

from packer.variables import BakeVariables


def bake_variables(folder: Path) -> BakeVariables:
    """Variables whose files lie in `folder`; the inputs among them are empty where nobody wrote them."""
    for name in ("models.tsv", "model-set.json"):
        (folder / name).touch()
    return BakeVariables(
        region="us-west-2",
        base_ami="ami-0base0000000gpu1",
        ami_name="vision-models-1",
        tags={"capctl:run": "r", "Name": "n"},
        model_list=str(folder / "models.tsv"),
        model_marker=str(folder / "model-set.json"),
        evidence=str(folder / "evidence.json"),
        manifest=str(folder / "manifest.json"),
        instance_type="m6i.large",
        root_device="/dev/xvda",
        volume_gib=30,
        ssh_username="ec2-user",
        ssh_interface="private_ip",
        ssh_port=22,
        poll_attempts=720,
    )
