"""The commands of `analyzer`, one module each: parse, call, tell. Heavy imports are inside the functions that need them."""
