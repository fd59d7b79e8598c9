"""The HTTP door: `analyses` keeps what was asked for and runs it, `app` says it in HTTP, `listen` serves it until a signal."""
