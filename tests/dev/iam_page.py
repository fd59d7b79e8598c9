"""The page docs/iam.md, and the policies that it tells of as files to be filled in."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pulumi_stack.components.roles import SESSION_MANAGER_POLICY
from tests.dev.iam import command_actions, host_actions, is_read, job_actions, start_actions
from tests.dev.iam_policy import text
from tests.dev.iam_roles import LOOKS, RELEASES, everybody, looks, releases

_OF = {
    "ec2": "AMIs, instances, launch templates",
    "releases": "releases, their jobs, the pointer",
    "data": "objects, images, channels, keys",
    "base": "the base stack",
}


# Pulumi asks for it in the name of who runs capctl, so none of the conditions that bind the keys of disks fits.
STATE_KEY: Mapping[str, Any] = {
    "Effect": "Allow",
    "Action": ["kms:Decrypt", "kms:Encrypt"],
    "Resource": "arn:aws:kms:REGION:ACCOUNT:key/KEY",
}


def iam_page(note: str) -> str:
    """Its text."""
    return "\n".join(
        [
            note,
            "# IAM actions\n",
            "Give a role the rows of the commands it runs, on the resources that the [policies](#one-role-for-all-commands) below name for",
            "them. `--dry-run` needs the first column only; `--dry-run -o json` lists the actions of each step of that run. A rehearsal",
            "proves rows and policies, call by call (`tests/rehearsal/test_iam.py`, where what it cannot show stands with the reason).",
            "`sts:GetCallerIdentity`, which every command asks first, needs no permission.\n",
            "| command | reads | changes |\n|---|---|---|",
            *(
                f"| `capctl {name}` | {_listed(filter(is_read, needed))} | {_listed(one for one in needed if not is_read(one))} |"
                for name, needed in sorted(command_actions().items())
            ),
            "",
            "The actions of `s3` belong to the target's bucket, to that of `models.source` if it is in S3 and, for `ami bake`,",
            "`ami disable`, `ami ls`, `ami prune`, `ami show`, `bootstrap`, `deploy`, `image ls`, `image policy`, `image prune`,",
            "`release`, `rollback`, `smoke` and `status`, to the bucket of Pulumi's state (`ami bake` reads it before it removes an AMI,",
            "and only then). Those of `ec2` in `bootstrap` fall away without `network.create`, and `iam:DeleteRolePolicy` is for who takes",
            "`release.database_secret_arn` away. Those of `ecr` fall away with `registry_url`, but for `image ls`, `image policy` and",
            "`image prune`, and those of `iam` and of `ssm` sessions in `ami bake` and `release` without Session Manager. What",
            "`ami verify` changes, it changes for `--boot`. Commands that are not in the table ask AWS nothing.\n",
            "## Roles that `capctl bootstrap` makes\n",
            "They belong to machines and jobs; nobody who runs capctl needs their actions.\n",
            "| role | of | actions |\n|---|---|---|",
            f"| `<project>-bake` | the instance of a bake | the managed policy `{SESSION_MANAGER_POLICY}` |",
            f"| `<project>-instance` | hosts of jobs | {_listed(host_actions())} |",
            f"| `<project>-job` | jobs | {_listed(job_actions())} |",
            f"| `<project>-execution` | the start of a job | {_listed(start_actions())} of "
            "`release.database_secret_arn`, none without one |",
            "",
            *_HOW_TO_FILL_IN,
            "## One role for all commands\n",
            "| managed policy | of |\n|---|---|",
            *(f"| [`{name}.json`](../examples/iam/{name}.json) | {_OF[name]} |" for name in everybody()),
            "",
            "The last one is for who runs `capctl bootstrap`; its actions of `ec2` are for `network.create`.\n",
            "## The policies of a pipeline\n",
            f"Of the role that releases, with {_listed(f'capctl {name}' for name in RELEASES)}: the managed policies",
            f"{', '.join(f'[`{name}.json`](../examples/ci/aws/{name}.json)' for name in releases())}.",
            "Who may take it, and in which jobs, is in [ci.md](ci.md).\n",
            "Of the role that looks, at what a merge request would release and at night at what drifted, with",
            f"{_listed(f'capctl {name}' for name in LOOKS)}: [`looks.json`](../examples/ci/aws/looks.json), which changes",
            "nothing. Of the bucket it sees models, which a plan looks for one by one, what bakes reported, and the smoke video; no",
            "other video and no result. It may not ask who else in the account uses an AMI: where a killed bake left one unproven,",
            "its plan is to bake beside it, and the release looks again.",
            "",
        ]
    )


def policy_files() -> dict[str, str]:
    """Text by path in the repository."""
    folders = {"examples/iam": everybody(), "examples/ci/aws": {**releases(), "looks": looks()}}
    return {
        f"{folder}/{name}.json": f"{text(document)}\n"
        for folder, found in folders.items()
        for name, document in found.items()
    }


_HOW_TO_FILL_IN = (
    "## Policies\n",
    "Each is as narrow as the names and tags allow that capctl gives, in a file where the project, the account and the region of the",
    "target are to be filled in:\n",
    "```",
    "sed -e s/PROJECT/vision/g -e s/ACCOUNT/444455556666/g -e s/REGION/ap-northeast-2/g examples/iam/ec2.json > ec2.json",
    "```\n",
    "- In GovCloud also `-e s/arn:aws:/arn:aws-us-gov:/g`; in China, after the others,",
    "  `-e s/arn:aws:/arn:aws-cn:/g -e 's/ec2[a-z0-9.-]*[.]amazonaws[.]com/&.cn/'`.",
    "- IAM takes 6,144 characters of a managed policy and 10,240 of all inline policies of a role, white space not counted. Filled in",
    "  with the longest names each policy here fits a managed one; not all of a role fit inline.",
    "- `*` stands beside reads that AWS gives no resources for, and beside three of ECS that look for whoever uses an image. Where the",
    "  ARN of a thing holds no name, the tag `capctl:project` is asked for: in the request that makes it, on the thing that is changed or",
    "  removed. AMIs, instances and disks of others stay theirs, whatever capctl believes, and nobody can put the tag on them:",
    "  `ec2:CreateTags` is for what a call makes at that moment, and for AMIs and snapshots that have it.",
    "- Packer tags what it makes as the policies ask since version 1.0.2 of its Amazon plugin, but not in China. For an older one, and",
    "  there, take the conditions off the policy `ec2`. What such a bake left untagged when it was killed, a role without them sweeps.",
    "- A program of yours that submits jobs gives them the tag `capctl:project`, with the name of the project (`SubmitJob`, `tags`):",
    "  `capctl job cancel` may end such jobs only, and `capctl job move` leaves others where they wait.",
    "- Where `stack.secrets_provider` is a KMS key (`awskms://…`), nothing opens Pulumi's state without that key, which no name of the",
    "  project tells: whoever reads that state needs `kms:Decrypt` on it, and whoever changes it `kms:Encrypt` too. So add to `data`, and",
    "  to `looks` without `kms:Encrypt`, this statement with the id of the key in place of KEY (an alias opens nothing here):",
    "",
    "  ```",
    f"  {json.dumps(STATE_KEY)}",
    "  ```",
    "",
    "- More is needed where the configuration names something of its own: `s3:GetObject` and `s3:ListBucket` of the bucket of",
    "  `models.source`; `s3:GetObject` of a `smoke.video_url` below `videos/`; `image.repository` and `stack.state` in place of the",
    "  names that stand for them; `ssm:GetParameter` of an `ami.base` that is a parameter of yours; `iam:GetInstanceProfile` and",
    "  `iam:PassRole` of an `ami.instance_profile`; the actions of `kms` on a key of another account. `capctl ami copy` acts in the other",
    "  region: there it needs the policy `ec2` once more, filled in with that region.\n",
)


def _listed(actions: Iterable[str]) -> str:
    return ", ".join(f"`{action}`" for action in sorted(actions))
