"""A URL that may carry a password is shown without it."""

import pytest

from promptlab._urls import redacted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://host", "http://host"),
        ("http://a:b@c@host", "http://***@host"),
        ("a:b@host", "***@host"),
        ("ftp://a:b\n@host?token=x", "ftp://***@host?***"),
    ],
)
def test_redacted_url_with_credentials_shows_none_of_them(text, shown):
    """What is no address is shown without secrets, even where it could not be read."""
    assert redacted(text) == shown
