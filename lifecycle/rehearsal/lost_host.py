"""A host that AWS takes back, as it does with Spot instances."""

from lifecycle.rehearsal.stage import Stage


def lose_host(stage: Stage, job_id: str) -> str:
    """End the instance on which a job runs; its id."""
    (job,) = stage.client("batch").describe_jobs(jobs=[job_id])["jobs"]
    host = job["container"]["containerInstanceArn"]
    cluster = host.split("/")[-2]
    found = stage.client("ecs").describe_container_instances(cluster=cluster, containerInstances=[host])
    instance = str(found["containerInstances"][0]["ec2InstanceId"])
    stage.client("ec2").terminate_instances(InstanceIds=[instance])
    return instance
