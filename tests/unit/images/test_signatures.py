"""Each secret is put together here, so that no scanner takes this file for a leak."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images.signatures import secrets_in

BASE64 = "aB3/" * 20
SECRETS = {
    "aws-access-key-id": ["key = '" + "AKIA" + "Q3" * 8 + "'", "ASIA" + "A" * 16],
    "aws-secret-access-key": [
        "aws_secret_access_key" + " = " + "a1" * 20,
        "AWS_SECRET_ACCESS_KEY" + "='" + "a1" * 20 + "'",
        '{"SecretAccessKey"' + ': "' + "aB/+" * 10 + '"}',
    ],
    "private-key": [
        "-----BEGIN RSA " + "PRIVATE KEY-----\n" + BASE64,
        'key = "-----BEGIN ' + "PRIVATE KEY-----\\n" + BASE64 + '"',
        "-----BEGIN OPENSSH " + "PRIVATE KEY-----\n" + BASE64,
        "-----BEGIN PGP " + "PRIVATE KEY BLOCK-----\nVersion: 1\n\n" + BASE64,
    ],
    "github-token": ["ghp" + "_" + "a1" * 18, "github" + "_pat_" + "a1" * 41],
    "gitlab-token": ["glpat" + "-" + "x_" * 10],
    "slack-token": ["xoxb" + "-" + "123456789012-abc"],
    "slack-webhook": ["https://hooks.slack" + ".com/services/T" + "0" * 8 + "/B" + "0" * 8 + "/" + "x" * 24],
    "hugging-face-token": ["hf" + "_" + "aB" * 17],
    "openai-key": ["sk" + "-proj-" + "a1" * 20 + "T3Blbk" + "FJ" + "b2" * 20],
    "anthropic-key": ["sk" + "-ant-api03-" + "a1" * 46],
    "google-key": ["AI" + "za" + "x" * 35],
    "nvidia-key": ["nv" + "api-" + "x" * 64],
    "pulumi-token": ["pul" + "-" + "0a" * 20],
    "url-password": [
        "DATABASE_URL=postgresql" + "://admin:hunter22@db/x",
        "redis" + "://:s3cret99@cache:6379/0",
        "https" + "://ci:a1b2c3d4@example.org/simple",
        "postgresql+asyncpg" + "://a:p%40ssw0rd@db/x",
    ],
}


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in SECRETS.items() for text in texts])
def test_secrets_are_known_by_their_form_wherever_they_stand(kind: str, text: str) -> None:
    assert secrets_in(text.encode()) == (kind,)
    assert secrets_in(f"# {'x' * 5000}\n{text}\n".encode()) == (kind,)


@pytest.mark.parametrize(
    "text",
    [
        "AKIA" + "IOSFODNN7" + "EXAMPLE",  # the one of AWS's manuals
        "aws_secret_access_key" + " = wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY",
        "X" + "AKIA" + "Q3" * 8,
        "aws_secret_access_key = os.environ['AWS_SECRET_ACCESS_KEY']",
        "if b'-----BEGIN PRIVATE KEY-----' in content: refuse()",
        "postgresql://user:password@host:5432/x",
        "postgresql://postgres:postgres@localhost/x",
        "postgresql://{user}:{password}@db/x",
        "postgresql://%s:%s@%s/x",
        "postgresql://$USER:$PASSWORD@db/x",
        "postgresql://<user>:<password>@db",
        "redis://user:xxxxxxxx@cache",
        "http://127.0.0.1:8080/path@2",
        "git@github.com:team/project.git",
        "hf_hub_download(repo_id, filename)",
        "sk-learn",
        "pul-request",
        "glpat-",
        "ghp_short",
        "right global through enough highlight",
    ],
)
def test_examples_and_forms_are_no_secrets(text: str) -> None:
    assert secrets_in(text.encode()) == ()


@given(st.text(alphabet=string.printable, max_size=4000))
def test_random_text_is_no_secret(text: str) -> None:
    assert secrets_in(text.encode()) == ()


WORDS = [
    "import ",
    "def ",
    "self.",
    "return ",
    "http://",
    "password",
    ":",
    "@",
    "=",
    "'",
    '"',
    "\n",
    "    ",
    "key",
    "token",
    "sk-",
    "hf_hub_download",
]


@given(
    st.lists(st.sampled_from(WORDS) | st.text(string.ascii_letters + string.digits + "_", max_size=12), max_size=200)
)
def test_random_source_is_no_secret(pieces: list[str]) -> None:
    # Only a name, a colon, a word and an `@` behind `://` are a password in an address, and these pieces can make one.
    assert set(secrets_in("".join(pieces).encode())) <= {"url-password"}
