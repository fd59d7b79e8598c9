"""capctl: ship a GPU job to AWS Batch at three speeds."""
