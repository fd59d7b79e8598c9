"""What each IAM action of capctl may act on: the project's own by name, and by its tag where an ARN has no name.

Which ARNs and conditions an action knows is what AWS's Service Authorization Reference says.
"""

from collections.abc import Mapping

from lifecycle.adapters.pulumi_state import state_bucket
from lifecycle.domain.layout import Folder
from pulumi_stack.components.roles import SESSION_MANAGER_POLICY
from tests.dev.iam_names import (
    FOR_PROJECT,
    OF_PROJECT,
    RELEASE,
    TARGET,
    TEMPORARY,
    WANTED,
    Scope,
    When,
    arn,
    ec2,
    linked,
    on,
    on_objects,
    passed_to,
    roles,
)

_BUCKETS = [arn("s3", bucket, region="", account="") for bucket in (TARGET.bucket, state_bucket(TARGET))]
_ENVIRONMENTS = arn("batch", f"compute-environment/{RELEASE}")
_QUEUES = arn("batch", f"job-queue/{RELEASE}")
_DEFINITION = arn("batch", f"job-definition/{RELEASE}")
_REVISIONS = f"{_DEFINITION}:*"
_JOBS = arn("batch", "job/*")
_RELEASES_TABLE = arn("dynamodb", f"table/{TARGET.table}")
_TABLES = [_RELEASES_TABLE, arn("dynamodb", f"table/{TARGET.tasks_table}")]
_REPOSITORY = arn("ecr", f"repository/{TARGET.repository_name}")
_LOG_GROUP = arn("logs", f"log-group:{TARGET.log_group}")
_SQS = [arn("sqs", f"{TARGET.project}-{name}") for name in ("ingest", "dead")]
_CHANNELS = arn("ssm", f"parameter/capctl/{TARGET.project}/ami")
# Those that AWS keeps for everybody, such as the newest AMI of ECS.
_PUBLIC = arn("ssm", "parameter/aws/service/*", account="")
_ROLES = roles("bake", "execution", "instance", "job")
_PROFILES = [arn("iam", f"instance-profile/{TARGET.project}-{name}", region="") for name in ("bake", "instance")]
_KEYS = arn("kms", "key/*")
# EC2 uses a key in the name of who bakes; nobody else comes this way.
_THROUGH_EC2: When = (("StringEquals", "kms:ViaService", f"ec2.{TARGET.region}.amazonaws.com"),)

# Reads that AWS allows on everything or not at all, and one that makes a token for whatever the caller may read anyhow.
WITHOUT_RESOURCE = frozenset(
    {
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeLaunchConfigurations",
        "batch:DescribeComputeEnvironments",
        "batch:DescribeJobDefinitions",
        "batch:DescribeJobQueues",
        "batch:DescribeJobs",
        "batch:ListJobs",
        "ec2:DescribeFleets",
        "ec2:DescribeImages",
        "ec2:DescribeInstanceStatus",
        "ec2:DescribeInstances",
        "ec2:DescribeInternetGateways",
        "ec2:DescribeKeyPairs",
        "ec2:DescribeLaunchTemplateVersions",
        "ec2:DescribeLaunchTemplates",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeRegions",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSnapshots",
        "ec2:DescribeSpotFleetRequests",
        "ec2:DescribeSpotInstanceRequests",
        "ec2:DescribeSubnets",
        "ec2:DescribeVolumes",
        "ec2:DescribeVpcEndpoints",
        "ec2:DescribeVpcs",
        "ecr:GetAuthorizationToken",
        "ecs:DescribeTaskDefinition",
        "ecs:ListClusters",
        "ecs:ListServices",
        "ecs:ListTaskDefinitions",
        "logs:DescribeLogGroups",
        "ssm:DescribeParameters",
    }
)
# Reads that look for whoever uses an image, wherever in the account: a narrower one would let capctl delete what it cannot see used.
OF_THE_ACCOUNT = frozenset({"ecs:DescribeServices", "ecs:DescribeTasks", "ecs:ListTasks"})
EVERYWHERE = WITHOUT_RESOURCE | OF_THE_ACCOUNT

SCOPES: Mapping[str, tuple[Scope, ...]] = {
    **dict.fromkeys(
        ("batch:CreateComputeEnvironment", "batch:DeleteComputeEnvironment", "batch:UpdateComputeEnvironment"),
        on(_ENVIRONMENTS),
    ),
    **dict.fromkeys(("batch:CreateJobQueue", "batch:UpdateJobQueue"), on(_ENVIRONMENTS, _QUEUES)),
    "batch:DeleteJobQueue": on(_QUEUES),
    "batch:DeregisterJobDefinition": on(_REVISIONS),
    "batch:RegisterJobDefinition": on(_DEFINITION),
    "batch:SubmitJob": on(_JOBS, _QUEUES, _REVISIONS),
    "batch:TagResource": (*on(_ENVIRONMENTS, _QUEUES, _DEFINITION, _REVISIONS), *on(_JOBS, when=FOR_PROJECT)),
    "batch:TerminateJob": on(_JOBS, when=OF_PROJECT),
    "batch:CancelJob": on(_JOBS, when=OF_PROJECT),
    **dict.fromkeys(
        (
            "dynamodb:BatchGetItem",
            "dynamodb:ConditionCheckItem",
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
        ),
        on(_RELEASES_TABLE),
    ),
    **dict.fromkeys(
        (
            "dynamodb:CreateTable",
            "dynamodb:DescribeContinuousBackups",
            "dynamodb:DescribeTable",
            "dynamodb:DescribeTimeToLive",
            "dynamodb:ListTagsOfResource",
            "dynamodb:TagResource",
            "dynamodb:UpdateContinuousBackups",
            "dynamodb:UpdateTable",
            "dynamodb:UpdateTimeToLive",
        ),
        on(*_TABLES),
    ),
    "ec2:AssociateRouteTable": ec2("route-table", "subnet", when=OF_PROJECT),
    "ec2:AttachInternetGateway": ec2("internet-gateway", "vpc", when=OF_PROJECT),
    **dict.fromkeys(
        (
            "ec2:AuthorizeSecurityGroupEgress",
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:DeleteSecurityGroup",
            "ec2:RevokeSecurityGroupEgress",
        ),
        ec2("security-group", when=OF_PROJECT),
    ),
    # Of the source EC2 may ask as well.
    "ec2:CopyImage": (*ec2("image", "snapshot", when=FOR_PROJECT), *ec2("image", "snapshot", when=OF_PROJECT)),
    "ec2:CreateImage": (*ec2("instance", when=OF_PROJECT), *ec2("image", "snapshot", when=FOR_PROJECT)),
    "ec2:CreateInternetGateway": ec2("internet-gateway", when=FOR_PROJECT),
    **dict.fromkeys(("ec2:CreateKeyPair", "ec2:DeleteKeyPair"), ec2(f"key-pair/{TEMPORARY}")),
    "ec2:CreateLaunchTemplate": ec2("launch-template", when=FOR_PROJECT),
    "ec2:CreateRoute": ec2("route-table", when=OF_PROJECT),
    "ec2:CreateRouteTable": (*ec2("route-table", when=FOR_PROJECT), *ec2("vpc", when=OF_PROJECT)),
    # In whatever VPC a bake is placed.
    "ec2:CreateSecurityGroup": (*ec2("security-group", when=FOR_PROJECT), *ec2("vpc")),
    "ec2:CreateSubnet": (*ec2("subnet", when=FOR_PROJECT), *ec2("vpc", when=OF_PROJECT)),
    # Besides what is tagged while it is made: statuses, on AMIs that keep their project.
    "ec2:CreateTags": ec2("image", "snapshot", when=(*OF_PROJECT, ("StringEqualsIfExists", WANTED, TARGET.project))),
    "ec2:CreateVpc": ec2("vpc", when=FOR_PROJECT),
    "ec2:CreateVpcEndpoint": (
        *ec2("vpc-endpoint", when=FOR_PROJECT),
        *ec2("route-table", "vpc", when=OF_PROJECT),
    ),
    "ec2:DeleteLaunchTemplate": ec2("launch-template", when=OF_PROJECT),
    **dict.fromkeys(("ec2:DeleteSnapshot", "ec2:ModifySnapshotAttribute"), ec2("snapshot", when=OF_PROJECT)),
    "ec2:DeleteTags": ec2("image", "snapshot", when=OF_PROJECT),
    "ec2:DeleteVolume": ec2("volume", when=OF_PROJECT),
    **dict.fromkeys(
        (
            "ec2:DeregisterImage",
            "ec2:DisableImage",
            "ec2:DisableImageDeprecation",
            "ec2:EnableImage",
            "ec2:EnableImageDeprecation",
            "ec2:ModifyImageAttribute",
        ),
        ec2("image", when=OF_PROJECT),
    ),
    "ec2:DescribeImageAttribute": ec2("image"),
    "ec2:DescribeSnapshotAttribute": ec2("snapshot"),
    "ec2:DescribeVpcAttribute": ec2("vpc"),
    **dict.fromkeys(
        ("ec2:ModifyInstanceAttribute", "ec2:StopInstances", "ec2:TerminateInstances"),
        ec2("instance", when=OF_PROJECT),
    ),
    "ec2:ModifySubnetAttribute": ec2("subnet", when=OF_PROJECT),
    "ec2:ModifyVpcAttribute": ec2("vpc", when=OF_PROJECT),
    # The base AMI, the network and the groups are whose they are.
    "ec2:RunInstances": (
        *ec2("instance", "volume", when=FOR_PROJECT),
        *ec2("image", f"key-pair/{TEMPORARY}", "network-interface", "security-group", "snapshot", "subnet"),
    ),
    **dict.fromkeys(
        (
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchDeleteImage",
            "ecr:BatchGetImage",
            "ecr:CompleteLayerUpload",
            "ecr:CreateRepository",
            "ecr:DeleteLifecyclePolicy",
            "ecr:DescribeImages",
            "ecr:DescribeRepositories",
            "ecr:GetDownloadUrlForLayer",
            "ecr:GetLifecyclePolicy",
            "ecr:GetLifecyclePolicyPreview",
            "ecr:InitiateLayerUpload",
            "ecr:ListTagsForResource",
            "ecr:PutImage",
            "ecr:PutImageScanningConfiguration",
            "ecr:PutImageTagMutability",
            "ecr:PutLifecyclePolicy",
            "ecr:StartLifecyclePolicyPreview",
            "ecr:TagResource",
            "ecr:UploadLayerPart",
        ),
        on(_REPOSITORY),
    ),
    # Batch calls the cluster after the environment, with words of its own before and after it.
    "ecs:DescribeContainerInstances": on(arn("ecs", f"container-instance/*{RELEASE}*")),
    "iam:AttachRolePolicy": on(
        *roles("bake"),
        when=(
            ("ArnEquals", "iam:PolicyARN", arn("iam", f"policy/{SESSION_MANAGER_POLICY}", region="", account="aws")),
        ),
    ),
    **dict.fromkeys(
        (
            "iam:AddRoleToInstanceProfile",
            "iam:CreateInstanceProfile",
            "iam:GetInstanceProfile",
            "iam:TagInstanceProfile",
        ),
        on(*_PROFILES),
    ),
    **dict.fromkeys(
        (
            "iam:CreateRole",
            "iam:DeleteRolePolicy",
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:PutRolePolicy",
            "iam:TagRole",
        ),
        on(*_ROLES),
    ),
    "iam:CreateServiceLinkedRole": (
        linked("batch", "AWSServiceRoleForBatch"),
        linked("spot", "AWSServiceRoleForEC2Spot"),
    ),
    "iam:PassRole": (passed_to("ec2", "bake", "instance"), passed_to("ecs-tasks", "execution", "job")),
    **dict.fromkeys(
        (
            "kms:CreateGrant",
            "kms:Decrypt",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ),
        on(_KEYS, when=_THROUGH_EC2),
    ),
    "kms:DescribeKey": on(_KEYS),
    # AWS says which of the two ARNs of a log group an action knows.
    **dict.fromkeys(("logs:CreateLogGroup", "logs:PutRetentionPolicy"), on(f"{_LOG_GROUP}:*")),
    **dict.fromkeys(("logs:ListTagsForResource", "logs:TagResource"), on(_LOG_GROUP)),
    "logs:GetLogEvents": on(f"{_LOG_GROUP}:log-stream:*"),
    **dict.fromkeys(
        (
            "s3:CreateBucket",
            "s3:GetBucketNotification",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetBucketTagging",
            "s3:GetBucketVersioning",
            "s3:GetEncryptionConfiguration",
            "s3:GetLifecycleConfiguration",
            "s3:ListBucket",
            "s3:PutBucketNotification",
            "s3:PutBucketPublicAccessBlock",
            "s3:PutBucketTagging",
            "s3:PutBucketVersioning",
            "s3:PutEncryptionConfiguration",
            "s3:PutLifecycleConfiguration",
        ),
        on(*_BUCKETS),
    ),
    "s3:AbortMultipartUpload": on_objects(Folder.MODELS, Folder.SAMPLES),
    "s3:DeleteObject": on_objects(Folder.BOOTS),
    # Results are for whoever wants them, and no command reads any but of smoke jobs.
    "s3:GetObject": on_objects(
        Folder.BOOTS, Folder.EVIDENCE, Folder.MODELS, Folder.SAMPLES, Folder.SMOKE, Folder.VIDEOS
    ),
    "s3:PutObject": on_objects(Folder.BOOTS, Folder.EVIDENCE, Folder.MODELS, Folder.SAMPLES, Folder.SMOKE),
    **dict.fromkeys(
        ("sqs:CreateQueue", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListQueueTags", "sqs:TagQueue"),
        on(*_SQS),
    ),
    "ssm:GetParameter": on(_PUBLIC),
    **dict.fromkeys(("ssm:GetParameterHistory", "ssm:PutParameter"), on(f"{_CHANNELS}/*")),
    "ssm:GetParametersByPath": on(_CHANNELS, f"{_CHANNELS}/*"),
    # Parameters of whatever name may name an AMI or an image, also by what AWS keeps.
    "ssm:GetParameters": on(arn("ssm", "parameter/*"), _PUBLIC),
    "ssm:StartSession": (
        *ec2("instance", when=OF_PROJECT),
        *on(arn("ssm", "document/AWS-StartPortForwardingSession", account="")),
    ),
    # Its own, which carry who started them.
    "ssm:TerminateSession": on(
        arn("ssm", "session/*"), when=(("StringLike", "ssm:resourceTag/aws:ssmmessages:session-id", "${aws:userid}"),)
    ),
}
