"""Addresses as they may be shown."""

from urllib.parse import urlsplit


def without_login(text: str, uri: str) -> str:
    """A text as it may be shown, without the name and password of an address."""
    login = urlsplit(uri).netloc.rpartition("@")[0]
    if not login:
        return text
    password = login.partition(":")[2]
    shown = text.replace(f"{login}@", "")
    return shown.replace(password, "(the password)") if password else shown
