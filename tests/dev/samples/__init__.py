"""One document of every schema, made from typed values as a command has them."""

from tests.dev.samples import amis, images, releases

# By the name of the schema: `ami-list` is `capctl.ami-list/1`.
SAMPLES = dict(sorted((amis.SAMPLES | images.SAMPLES | releases.SAMPLES).items()))
