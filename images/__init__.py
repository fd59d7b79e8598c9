"""The job image: a base image built rarely, a code layer pushed daily, and the checks on what the registry holds."""
