"""The studio's page in Chromium: what a user does there, and a record of what the page did."""

import base64

PATIENCE = 600  # seconds; more than a busy machine needs, so only a page that hangs reaches it

DROP = """([name, text]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(kind,
      { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}"""

FIGURES = """() => [...document.querySelectorAll(".figures div")].map(
  (pair) => [...pair.children].map((part) => part.textContent))"""


class Page:
    """What a user does on the page, and a record of what the page did."""

    def __init__(self, page, client):
        self.page, self.asked, self.errors = page, [], []
        self.address = f"http://127.0.0.1:{client.port}"
        page.set_default_timeout(1000 * PATIENCE)
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda line: self.errors.append(line.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(self.address)
        self.settled()

    def settled(self):
        self.page.wait_for_timeout(300)  # until a change has become a request
        self.page.wait_for_selector("#busy:not(.on)", state="attached", timeout=1000 * PATIENCE)

    def state(self):
        return self.page.evaluate("async () => (await fetch('/state')).json()")

    def count(self, path):
        return sum(url == self.address + path for url in self.asked)

    def choose(self, text):
        self.page.locator(f"#look .choice label:has-text('{text}')").click()

    def figure(self, name):
        return dict(self.page.evaluate(FIGURES)).get(name)

    def more(self):
        self.page.evaluate("() => { document.querySelector('#more').open = true; }")

    def set(self, name, value):
        self.more()
        self.page.locator(f"#{name}").fill(str(value))
        self.settled()

    def text(self, selector):
        """What is shown there; "" if nothing is."""
        found = self.page.locator(selector)
        return found.inner_text() if found.is_visible() else ""

    def paint(self):
        """A stroke in the left half."""
        self.choose("Paint")
        box = self.page.locator("#paint").bounding_box()
        self.page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.5 * box["height"])
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.5 * box["height"], steps=5)
        self.page.mouse.up()
        self.settled()

    def expected_refusal(self):
        """Takes Chromium's own remark on a refused request out of the errors."""
        self.errors = [line for line in self.errors if "422" not in line]

    def drop_only(self, name, data):
        self.page.evaluate(DROP, [name, base64.b64encode(data).decode()])

    def drop(self, name, data):
        self.drop_only(name, data)
        self.settled()

    def saved(self, button):
        with self.page.expect_download() as download:
            self.page.locator(button).click()
        return download.value.suggested_filename, download.value.path().read_bytes()
