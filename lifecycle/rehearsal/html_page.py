"""What a page of HTML holds and what it would have a browser fetch."""

from html.parser import HTMLParser

_ADDRESSES = {"action", "data", "href", "poster", "src", "srcset"}
_OF_ITSELF = ("#", "data:", "blob:")


class HtmlPage(HTMLParser):
    """`fetched` are addresses outside of the page, `policy` is its Content-Security-Policy, `texts` are of elements with an id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.policy = ""
        self.texts: dict[str, str] = {}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._open = given.get("id", "")
        self.fetched += [
            value for name, value in given.items() if name in _ADDRESSES and not value.startswith(_OF_ITSELF)
        ]
        if given.get("http-equiv", "").lower() == "content-security-policy":
            self.policy = given.get("content", "")

    def handle_endtag(self, _tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open] = self.texts.get(self._open, "") + data
