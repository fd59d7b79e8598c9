"""The base image: root filesystem, interpreter and locked wheels, built rarely by a container engine."""
