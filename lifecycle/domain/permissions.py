"""IAM actions in the groups in which workflows need them.

A step names its own; beside them, each workflow says in `PERMISSIONS` what its command asks before the steps and after them.
docs/iam.md is made from both.
"""

READ_AMIS = ("ec2:DescribeImages",)
# Who else may start an AMI, and copy its snapshots.
READ_GRANTS = ("ec2:DescribeImageAttribute", "ec2:DescribeSnapshotAttribute")
READ_CHANNEL = ("ssm:GetParameterHistory",)
READ_CHANNELS = (*READ_CHANNEL, "ssm:GetParametersByPath")
# Without s3:ListBucket an object that does not exist is forbidden instead of absent.
READ_OBJECTS = ("s3:GetObject", "s3:ListBucket")
# The models of a source in S3; one on this machine needs none.
READ_SOURCE = READ_OBJECTS
# What the instance of a bake reported; older AMIs name that instance in their snapshots only.
READ_EVIDENCE = (*READ_AMIS, "ec2:DescribeSnapshots", *READ_OBJECTS)
# What bakes that ended badly left, all of which carries or is of Packer's names.
READ_LEFTOVERS = (
    *READ_AMIS,
    "ec2:DescribeInstances",
    "ec2:DescribeKeyPairs",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSnapshots",
    "ec2:DescribeVolumes",
)
REMOVE_LEFTOVERS = (
    "ec2:DeleteKeyPair",
    "ec2:DeleteSecurityGroup",
    "ec2:DeleteSnapshot",
    "ec2:DeleteVolume",
    "ec2:DeregisterImage",
    "ec2:TerminateInstances",
)

READ_IMAGES = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetAuthorizationToken",
    "ecr:GetDownloadUrlForLayer",
)
# One that is named by the beginning of its digest, which is looked for among those of the repository, else among those of releases.
FIND_IMAGES = (*READ_IMAGES, *READ_OBJECTS, "ecr:DescribeImages")
# Beside the upload: ECR only cuts the connection where the repository does not exist.
PUSH_IMAGES = (
    *READ_IMAGES,
    "ecr:CompleteLayerUpload",
    "ecr:DescribeRepositories",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)
# The repository's lifecycle policy, and what one would expire.
PREVIEW_POLICY = ("ecr:GetLifecyclePolicyPreview", "ecr:StartLifecyclePolicyPreview")
TAG_IMAGES = (*READ_IMAGES, "ecr:PutImage")

READ_POINTER = ("dynamodb:GetItem",)
MOVE_POINTER = ("dynamodb:ConditionCheckItem", "dynamodb:PutItem")
# The turn to change what is deployed.
TAKE_TURN = (*READ_POINTER, "dynamodb:UpdateItem")
WRITE_DEPLOYMENTS = ("dynamodb:PutItem",)
READ_DEPLOYMENTS = (*READ_POINTER, "dynamodb:BatchGetItem")
READ_DEAD_LETTERS = ("sqs:GetQueueAttributes",)
READ_QUEUES = ("batch:DescribeComputeEnvironments", "batch:DescribeJobQueues")
# What exists of releases, which an update of Pulumi's reads where a killed run left something.
READ_RELEASES = (
    *READ_QUEUES,
    "batch:DescribeJobDefinitions",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeLaunchTemplates",
)
READ_JOB = ("batch:DescribeJobs",)
READ_JOBS = ("batch:DescribeJobs", "batch:ListJobs")
# batch:TagResource is asked for because jobs are tagged when they are submitted.
SUBMIT_JOBS = ("batch:DescribeJobs", "batch:SubmitJob", "batch:TagResource")
# Cancelled where they wait, and submitted where they can run, as what their job definition does not say of them.
MOVE_JOBS = (*READ_JOBS, *SUBMIT_JOBS, "batch:CancelJob", "batch:DescribeJobDefinitions")
END_JOBS = (*READ_JOB, "batch:TerminateJob")
READ_LOGS = ("batch:DescribeJobs", "logs:GetLogEvents")

# Pulumi's state in S3; one on this machine needs none of them.
READ_STATE = READ_OBJECTS
CHANGE_STATE = (*READ_STATE, "s3:DeleteObject", "s3:PutObject")

# A network of the project's own; without `network.create` none is needed.
MAKE_NETWORK = (
    "ec2:AssociateRouteTable",
    "ec2:AttachInternetGateway",
    "ec2:AuthorizeSecurityGroupEgress",
    "ec2:CreateInternetGateway",
    "ec2:CreateRoute",
    "ec2:CreateRouteTable",
    "ec2:CreateSecurityGroup",
    "ec2:CreateSubnet",
    "ec2:CreateTags",
    "ec2:CreateVpc",
    "ec2:CreateVpcEndpoint",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcAttribute",
    "ec2:DescribeVpcEndpoints",
    "ec2:DescribeVpcs",
    "ec2:ModifySubnetAttribute",
    "ec2:ModifyVpcAttribute",
    "ec2:RevokeSecurityGroupEgress",
)
