"""A release that exists, declared as it stands."""

import pulumi

from pulumi_stack.config import StandingRelease
from pulumi_stack.standing import COMPONENT


class Standing(pulumi.ComponentResource):
    """The same component and resources as the release has in the state, whatever `Release` would make of it by now.

    Their inputs are the stored ones, and no difference from them counts: a release never changes.
    """

    def __init__(self, release: StandingRelease) -> None:
        super().__init__(COMPONENT, release.id, release.inputs)
        declared: dict[str, pulumi.Resource] = {}
        for resource in release.resources:
            options = pulumi.ResourceOptions(
                parent=self,
                depends_on=[declared[urn] for urn in resource.depends_on if urn in declared],
                ignore_changes=["*"],
                # Another version of the provider might read the inputs in another way.
                version=resource.plugin_version,
            )
            declared[resource.urn] = pulumi.CustomResource(resource.type, resource.name, resource.inputs, options)
        self.register_outputs(release.outputs)
