"""The AWS emulator: a moto server on loopback, with the gaps mended that a rehearsal would otherwise hide."""
