"""The ports, bound to the world: the only importers of SDKs, processes and the artefact packages."""
