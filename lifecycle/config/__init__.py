"""`capctl.yaml`: what may stand in it, where each value came from, and the target a command acts in."""
