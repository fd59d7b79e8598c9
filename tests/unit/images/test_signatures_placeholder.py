"""A message that shows the form of a URL is no secret."""

from images.signatures import secrets_in


def test_the_word_password_in_a_url_is_no_secret() -> None:
    assert not secrets_in(b'hint="Set DATABASE_URL to `postgresql://user:password@host:5432/database`"')
