"""Entity tags: what a request is bound to (RFC 9110, 8.8 and 13.1.2)."""


def version_tag(version: int) -> str:
    """The entity tag of a row's version."""
    return f'"{version}"'


def names_tag(if_none_match: str | None, etag: str) -> bool:
    """Whether an `If-None-Match` names this tag: `*`, or a list that holds it, weak or strong."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return etag.strip('"') in {_bare(tag) for tag in if_none_match.split(",")}


def _bare(tag: str) -> str:
    return tag.strip().removeprefix("W/").strip('"')
