"""One file per scene, with a function `play(stage, capctl, record)` that plays it on a stage."""

# What each one plays, by the name of its file.
SCENES = {
    "release": "the whole life of a release",
    "first": "its beginning, up to the first release that takes jobs",
    "deploy": "what befalls deploys: killed, two at once, taken back by a dead letter, rolled back",
    "ami": "the life of AMIs: bake, boot, copy, share, sweep, prune",
    "image": "the life of code images: push, look, export, run by hand, prune",
    "analyzer": "the life of a job: cut off and gone on with, from a queue, searched, looked at",
}
MAIN = "release"
