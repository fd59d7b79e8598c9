"""The runtime that an AMI brings and its jobs mount: what an image wants of it, and whether an AMI has that."""

from collections.abc import Iterable, Mapping

from images.base.contract import ENV_MOUNT, parse_contract
from images.base.contract import WantedRuntime as WantedRuntime
from images.base.contract import wanted_runtime as wanted_runtime
from images.base.runtime import HOW_TO_COMPILE, contract_of
from images.errors import BaseInvalid
from images.signatures import is_stale_bytecode
from lifecycle.domain.ami import AmiRecord
from lifecycle.domain.digest import short
from lifecycle.domain.image import ImageRef
from lifecycle.domain.models import CONTRACT, RUNTIME, ModelSet
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError

# In bytes, what tells how long it is good for.
BYTECODE_HEAD = 16
_USUAL_MOUNT = "/opt/runtime"


def mount_place(wanted: WantedRuntime | None, image: str) -> str:
    """Where the container of `image` sees its host's runtime, "" if it needs none. Raises `CapctlError("manifest-unsupported")`."""
    if wanted and not wanted.mount:
        raise CapctlError(
            "manifest-unsupported",
            f"Image `{image}` needs a runtime of its host, and its `{ENV_MOUNT}` names no place for it",
            hint="Build the base with `capctl image base`, and push the code again",
        )
    return wanted.mount if wanted else ""


def runtime_text(wanted: WantedRuntime | None) -> str:
    """What an image's jobs need of their host, for people; "" for nothing."""
    if wanted is None:
        return ""
    return f"its jobs need the runtime of contract `{short(wanted.sha256)}` on their AMI, which they see at {wanted.mount or 'no place'}"


def require_pair(image: ImageRef, wanted: WantedRuntime | None, ami: AmiRecord, others: Iterable[AmiRecord]) -> None:
    """Raise `CapctlError("runtime-unsuited")` unless the AMI has the runtime that the image wants; the hint names one of `others` that
    has it."""
    found = ami.tags.get(Tag.RUNTIME_CONTRACT, "")
    if wanted is None or wanted.sha256 == found:
        return
    suited = next((other.id for other in others if other.tags.get(Tag.RUNTIME_CONTRACT) == wanted.sha256), None)
    has = f"has the one of `{short(found)}`" if found else "has none"
    raise CapctlError(
        "runtime-unsuited",
        f"Image `{image}` was built for the runtime whose contract is `{short(wanted.sha256)}`, and AMI `{ami.id}` {has}",
        hint=f"Take the AMI that has it, with `--ami {suited}`"
        if suited
        else "Bake that runtime with `capctl models lock`, `models push` and `ami bake`, or build the base for the AMI's contract",
    )


def told_mount(contract: bytes | None) -> str:
    """Where containers see the runtime, as a contract tells, or else the usual place."""
    try:
        return parse_contract(contract or b"", name=CONTRACT).mount
    except BaseInvalid:
        return _USUAL_MOUNT


def contract_text(models: ModelSet, mount: str) -> bytes:
    """The contract of the set's runtime, for containers that see it at `mount`. Raises `CapctlError("runtime-invalid")`."""
    paths = [file.path.removeprefix(f"{RUNTIME}/") for file in models.runtime if file.path != CONTRACT]
    if not paths:
        raise CapctlError(
            "runtime-invalid",
            f"The source holds no `{RUNTIME}/`",
            hint=f"Install the packages that no image shall hold with `pip install --target …/{RUNTIME}/site-packages`",
        )
    try:
        text = contract_of(paths, mount=mount, tree_sha256=models.runtime_tree)
    except BaseInvalid as error:
        raise CapctlError("runtime-invalid", error.message, hint=error.hint) from error
    try:
        parse_contract(text, name=CONTRACT)
    except BaseInvalid as error:
        raise CapctlError("runtime-invalid", error.message, hint="Name another folder with `--mount`") from error
    return text


def require_lasting_bytecode(beginnings: Mapping[str, bytes]) -> None:
    """Raise `CapctlError("runtime-invalid")` for bytecode that is good for its source's time alone, which no AMI keeps.

    `beginnings` has the first `BYTECODE_HEAD` bytes of each file.
    """
    stale = [path for path, beginning in beginnings.items() if is_stale_bytecode(beginning)]
    if stale:
        more = f" and {len(stale) - 1} more" if len(stale) > 1 else ""
        raise CapctlError(
            "runtime-invalid", f"`{stale[0]}`{more} would be compiled anew at every start of a job", hint=HOW_TO_COMPILE
        )


def require_described(models: ModelSet, contract: bytes | None) -> None:
    """Raise `CapctlError("runtime-invalid")` unless the contract, the content of its file, is of the runtime that the set holds."""
    if contract is None:
        raise _invalid(f"There is no `{CONTRACT}` beside the other files of the runtime")
    try:
        told = parse_contract(contract, name=CONTRACT).tree_sha256
    except BaseInvalid as error:
        raise _invalid(error.message) from error
    if told != models.runtime_tree:
        raise _invalid(
            f"`{CONTRACT}` tells of other files: its `tree_sha256` is `{told}`, that of the runtime is `{models.runtime_tree}`"
        )


def _invalid(message: str) -> CapctlError:
    return CapctlError(
        "runtime-invalid",
        message,
        hint=f"Run `capctl models contract`, put what it writes at `{CONTRACT}` of the source, and run `capctl models lock`",
    )
