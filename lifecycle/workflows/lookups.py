"""What there is: the pointer, releases, AMIs by name, the lock."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from lifecycle.config.suggest import near
from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord, is_ami_id
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.channel import CANDIDATE, NAME_RULE, STABLE, Channel, ChannelEntry, is_channel
from lifecycle.domain.digest import Digest, is_digest
from lifecycle.domain.image import (
    FEWEST_DIGITS,
    LOADED_DIGEST,
    ImageRef,
    digest_beginning,
    image_beginning_with,
    is_tag,
    parse_image_ref,
)
from lifecycle.domain.image_report import ImageIndex
from lifecycle.domain.measures import counted
from lifecycle.domain.models import ModelSet
from lifecycle.domain.release import DeployedRelease, Pointer
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, UsageError
from lifecycle.ports import Ports
from lifecycle.ports.amis import Amis


def active_pointer(ports: Ports) -> Pointer:
    """The pointer; raises `CapctlError("pointer-missing")` before the first promotion."""
    pointer = ports.pointers.read()
    if pointer is None:
        raise CapctlError("pointer-missing", "No release takes jobs yet", hint="Run `capctl deploy` first")
    return pointer


def deployed_release(ports: Ports, release_id: str) -> DeployedRelease:
    """The release with this id; raises `CapctlError("release-missing")` when its resources do not exist."""
    return release_among(ports.stack.releases(), release_id)


def release_among(releases: tuple[DeployedRelease, ...], release_id: str) -> DeployedRelease:
    """The one of `releases` with this id; raises `CapctlError("release-missing")`."""
    for release in releases:
        if release.id == release_id:
            return release
    known = ", ".join(f"`{release.id}`" for release in releases) or "none"
    raise CapctlError(
        "release-missing",
        f"Release `{release_id}` does not exist, its resources were pruned or never made; there are: {known}",
        hint="Deploy it again with the AMI and the image that `capctl history -v` shows of it",
    )


def ami_named(amis: Amis, name: str) -> AmiRecord:
    """The AMI of that name. Raises `CapctlError("ami-missing")`."""
    ami = amis.by_name(name)
    if ami is None:
        raise CapctlError(
            "ami-missing",
            f"There is no AMI `{name}`",
            hint="Somebody removed it meanwhile, or EC2 does not show it yet: `capctl ami ls` lists those that there are",
            may_pass=True,
        )
    return ami


def find_ami(amis: Amis, ami_id: AmiId) -> AmiRecord | None:
    """The AMI, or None when it is gone; EC2 may show it for a while as deregistered."""
    try:
        found = amis.get(ami_id)
    except CapctlError as error:
        if error.code == "ami-missing":
            return None
        raise
    return None if found.state is AmiState.DEREGISTERED else found


def project_amis(amis: Amis, target: Target) -> dict[AmiId, AmiRecord]:
    """The project's AMIs by their ids, newest first."""
    return {ami.id: ami for ami in amis.list(target.project)}


def own_ami(amis: Amis, target: Target, ami_id: AmiId) -> AmiRecord:
    """The AMI, which must be the project's. Raises `CapctlError("ami-missing" | "ami-foreign")`."""
    ami = amis.get(ami_id)
    if ami.tags.get(Tag.PROJECT) != target.project:
        raise CapctlError(
            "ami-foreign",
            f"AMI `{ami_id}` is not tagged `{Tag.PROJECT}={target.project}`, so it is not this project's to change",
            hint="Pick one from `capctl ami ls`; what is not this project's only AWS's own tools change and remove",
        )
    return ami


def proven_ami(amis: Amis, target: Target, ami_id: AmiId) -> AmiRecord:
    """The project's AMI, which must have passed every check that the target asks for. Raises as `own_ami`, and
    `CapctlError("ami-not-verified")`."""
    ami, level = own_ami(amis, target, ami_id), target.proof_level
    if not ami.is_proven_by(level):
        raise CapctlError(
            "ami-not-verified",
            f"AMI `{ami.id}` is {ami.standing(level)}; only a verified one is given away",
            hint=ami.way_to_proof(level),
        )
    return ami


def ami_of(ports: Ports, text: str) -> AmiId:
    """The AMI that `text` means on a command line: an id, or the name of a channel. It may exist no longer.

    Raises `UsageError("ami-id-invalid")`, and `CapctlError("channel-missing")` when there is no such channel.
    """
    if is_channel(text):
        return channel_entry(ports, Channel(text)).ami_id
    if is_ami_id(text):
        return AmiId(text)
    raise UsageError(
        "ami-id-invalid",
        f"`{text}` is neither an AMI id nor the name of a channel",
        hint=f"Pick an id from `capctl ami ls` or a channel from `capctl ami channels`; a channel's name is {NAME_RULE}",
    )


def image_of(ports: Ports, target: Target, text: str | None) -> ImageRef:
    """The image that `text` means on a command line: a tag of the target's repository, or a digest, alone or after its repository, of which
    the first digits are enough, twelve at least, with or without `sha256:`; or the name that `image load` gave it. Without it, the pushed
    image of the working tree's code.

    One by its whole digest may not exist. Raises `CapctlError("image-missing")` for any other, and `UsageError`.
    """
    if text is None:
        return _tagged(
            ports,
            tag := ports.code.tag(),
            missing=f"The registry does not have `{tag}`, the code of the working tree",
            hint="Run `capctl image push`",
        )
    text = _in_repository(target, text)
    beginning = digest_beginning(text)
    if not is_tag(text) and not beginning:
        if "@" in text or text.startswith("sha256:"):
            return parse_image_ref(text, default_repository=target.repository)
        raise UsageError(
            "image-name-invalid",
            f"`{text}` is neither a tag nor a digest of `{target.repository}`"
            if text
            else "The name of the image is empty",
            hint=_names_taken(target),
        )
    # A tag may be made of hex digits alone, as one that names a commit.
    found = ports.registry.find(text) if is_tag(text) else None
    if not found and is_digest(beginning):
        found = ImageRef(repository=target.repository, digest=Digest(beginning))
    if not found and beginning:
        found = image_beginning_with(beginning, _known_images(ports, target))
    if not found:
        raise CapctlError(
            "image-missing",
            f"The repository has no image `{text}`",
            hint=_names_taken(target),
        )
    return found


def _names_taken(target: Target) -> str:
    return (
        f"Write a tag of `{target.repository}`, or a digest, of which the first {FEWEST_DIGITS} digits are enough: "
        "`capctl image ls --all` shows them"
    )


def _in_repository(target: Target, text: str) -> str:
    """What stands after the repository, by the name that AWS, an engine or a registry elsewhere has for it: the digest, the tag, or the
    digits of `vision:digest-…`; any other text as it is."""
    hosts = ("", f"{target.ecr_host}/", f"{urlsplit(target.registry_url or '').netloc}/")
    names = {f"{host}{target.repository_name}" for host in hosts}
    pinned, _, digest = text.rpartition("@")
    if pinned in names:
        return digest
    name, _, tag = text.rpartition(":")
    if name not in names:
        return text
    digits = tag.removeprefix(LOADED_DIGEST)
    return digits if digits != tag and digest_beginning(digits) else tag


def read_index(ports: Ports, ref: ImageRef) -> ImageIndex:
    """What the image holds; shows that it is being read, for a layer that this machine has never seen takes seconds."""
    with ports.ui.step(f"inspect {ref}") as step:
        index = ports.registry.index(ref)
        step.done(counted(len(index.layers), "layer"))
    return index


def _known_images(ports: Ports, target: Target) -> Iterator[ImageRef]:
    """All that ECR lists; those of releases where the registry is another one, or the role may not list."""
    try:
        held = ports.repository_images.list()
    except CapctlError as error:
        if error.code not in {"repository-missing", "permission-denied"}:
            raise
        yield from (made.image for made in ports.stack.releases())
        return
    yield from (ImageRef(repository=target.repository, digest=image.digest) for image in held)


def _tagged(ports: Ports, tag: str, *, missing: str, hint: str) -> ImageRef:
    ref = ports.registry.find(tag)
    if ref is None:
        raise CapctlError("image-missing", missing, hint=hint)
    return ref


def channel_entry(ports: Ports, channel: Channel) -> ChannelEntry:
    """What the channel names now. Raises `CapctlError("channel-missing")`."""
    entry = ports.channels.read(channel)
    if entry is None:
        raise channel_missing(channel)
    return entry


def channel_missing(channel: Channel) -> CapctlError:
    """The error of a channel that does not exist; of one that is nearly the name of a usual one it asks whether that was meant."""
    meant = near(channel, [name for name in (STABLE, CANDIDATE) if name != channel])
    return CapctlError(
        "channel-missing",
        f"There is no channel `{channel}`" + (f"; did you mean `{meant}`?" if meant else ""),
        hint=f"Write `{meant}`; `capctl ami channels` lists all"
        if meant
        else f"`capctl ami channels` lists them; `capctl ami promote AMI --to {channel}` makes it",
    )


def tell_of_dead_runs(ports: Ports) -> None:
    """Say which bakes of this folder died and may have left something that costs; asks nothing of AWS."""
    now = ports.clock.now()
    if dead := [f"`{run.id}`" for run in ports.bake_runs.known() if not run.is_alive(now)]:
        runs = f"Run {dead[0]} is" if len(dead) == 1 else f"Runs {', '.join(dead)} are"
        ports.ui.note(f"{runs} dead and may have left something: `capctl ami sweep` removes it")


def locked(ports: Ports) -> ModelSet:
    """The locked set. Raises `UsageError("lock-missing")` before the first lock."""
    models = ports.model_lock.read()
    if models is None:
        raise UsageError("lock-missing", f"There is no {ports.model_lock.name}", hint="Run `capctl models lock`")
    return models
