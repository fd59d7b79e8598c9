"""One file per scene: a function that plays it on a stage."""
