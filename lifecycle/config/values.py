"""The kinds of values that `capctl.yaml` holds, and the bounds of its numbers."""

from typing import Annotated

from lifecycle.config.sections import AddressBlock, Matches, Reserved

Name = Annotated[str, Matches(r"^[a-z][a-z0-9-]{1,29}$")]
# As ECR has it, with namespaces; ECR refuses one of more than 256 characters.
RepositoryName = Annotated[str, Matches(r"^[a-z0-9]([a-z0-9]|[._/-][a-z0-9])+$")]
Url = Annotated[str, Matches(r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[^\s?#]*)?$")]
KmsKeyArn = Annotated[str, Matches(r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$")]
SecretArn = Annotated[
    str, Matches(r"^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}$")
]
# A VPC is a /16 at most, and its subnets, an eighth of it each, a /28 at least.
_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
Cidr = Annotated[str, AddressBlock(rf"^({_BYTE}\.){{3}}{_BYTE}/(1[6-9]|2[0-5])$")]
ZoneLetter = Annotated[str, Matches(r"^[a-h]$")]
# Fits no tag `base-…`, `code-…` or `rel-…`: those name content, and never move. Each beginning differs from theirs in its last character,
# since pydantic's patterns know no look-ahead; ECR takes two `*` at most.
MovableTag = Annotated[
    str,
    Matches(
        r"^(([0-9A-Zad-qs-z._-]"
        r"|b[0-9A-Zb-z._-]|ba[0-9A-Za-rt-z._-]|bas[0-9A-Za-df-z._-]|base[0-9A-Za-z._]"
        r"|c[0-9A-Za-np-z._-]|co[0-9A-Za-ce-z._-]|cod[0-9A-Za-df-z._-]|code[0-9A-Za-z._]"
        r"|r[0-9A-Za-df-z._-]|re[0-9A-Za-km-z._-]|rel[0-9A-Za-z._])"
        r"[0-9A-Za-z._-]*(\*[0-9A-Za-z._-]*){0,2}|b|ba|bas|base|c|co|cod|code|r|re|rel)$"
    ),
]
VideoUrl = Annotated[str, Matches(r"^s3://[a-z0-9][a-z0-9.-]+/.*[^/]$")]
AccountId = Annotated[str, Matches(r"^[0-9]{12}$")]
Region = Annotated[str, Matches(r"^[a-z]{2,4}(-[a-z]+)+-[0-9]$")]
SitePattern = Annotated[str, Matches(r"^[A-Za-z0-9_.*?@+-][A-Za-z0-9_.*?/@+-]*$")]
# Images and AMIs are paired by the variables of the runtime, and a job by MODEL_SET with its models.
VariableName = Annotated[
    str, Matches(r"^[A-Za-z_][A-Za-z0-9_]*$"), Reserved(("AWS_BATCH*", "CAPCTL_RUNTIME_*", "MODEL_SET"))
]
Word = Annotated[str, Matches(r"\S")]
# As `domain/channel.py` has it; `candidate` is moved by bakes.
PromotionChannel = Annotated[str, Matches(r"^[a-z][a-z0-9-]{0,30}$"), Reserved(("ami-*", "candidate"))]
PythonMinor = Annotated[str, Matches(r"^3\.[0-9]+$")]

# A century; a month; more than ECR or EC2 hold.
MAX_DAYS, MAX_S, MAX_KEPT = 36_500, 2_592_000, 100_000
