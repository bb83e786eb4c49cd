"""Takes the three pictures of README.md from a running demo, with 255 colours each.

    murmur demo                                   in one terminal
    .venv/bin/python docs/screenshots.py          in another; --url, --chromium where they differ

Playwright is in the extra `test`; Chromium is the system's own.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import struct
import sys
import zlib
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).parent / "images"
WIDTH, HEIGHT = 1280, 860

# In a page, because a browser reads PNG: the 255 most frequent colours (in steps of 4), and for each pixel the nearest.
QUANTIZE = """async (data) => {
  const bitmap = await createImageBitmap(await (await fetch(data)).blob());
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height), context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const { data: rgba } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const coarse = (i) => ((rgba[i] >> 2) << 12) | ((rgba[i + 1] >> 2) << 6) | (rgba[i + 2] >> 2);
  const found = new Map();
  for (let i = 0; i < rgba.length; i += 4) {
    const one = found.get(coarse(i)) ?? { count: 0, at: i };
    one.count += 1;
    found.set(coarse(i), one);
  }
  const most = [...found.values()].sort((a, b) => b.count - a.count).slice(0, 255);
  const kept = most.map(({ at }) => [rgba[at], rgba[at + 1], rgba[at + 2]]);
  const nearest = new Map();
  const indices = new Uint8Array(rgba.length / 4);
  for (let i = 0; i < rgba.length; i += 4) {
    const name = coarse(i);
    if (!nearest.has(name)) {
      const far = kept.map(([r, g, b]) => (r - rgba[i]) ** 2 + (g - rgba[i + 1]) ** 2 + (b - rgba[i + 2]) ** 2);
      nearest.set(name, far.indexOf(Math.min(...far)));
    }
    indices[i / 4] = nearest.get(name);
  }
  let text = "";
  for (let i = 0; i < indices.length; i += 32768) text += String.fromCharCode(...indices.subarray(i, i + 32768));
  return { width: bitmap.width, height: bitmap.height, palette: kept.flat(), indices: btoa(text) };
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--url", default="http://127.0.0.1:7700", help="a node of the demo")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("chromium-browser"))
    asked = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=asked.chromium, args=["--no-sandbox", "--disable-gpu"])
        helper = browser.new_page()
        for name, scheme, path in (
            ("overview", "light", "/?last=7d"),
            ("map-dark", "dark", "/map?last=14d"),
            ("releases", "light", "/releases?metric=people_by_country"),
        ):
            context = browser.new_context(
                viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme, locale="en-GB", timezone_id="UTC"
            )
            page = context.new_page()
            page.goto(asked.url + path)
            page.wait_for_selector("main > .panel")
            page.wait_for_function("() => document.querySelector('#status').textContent.includes('4 of 4 nodes')")
            if name == "releases":
                page.click("#verify")
                page.wait_for_selector("#verified .tag.good")
                page.evaluate("document.activeElement.blur()")
            page.wait_for_timeout(500)  # the line is drawn a moment after the panels
            picture = smaller(helper, page.screenshot())
            (FOLDER / f"{name}.png").write_bytes(picture)
            sys.stdout.write(f"{name}.png {len(picture):,} bytes\n")
            context.close()
        browser.close()


def smaller(page: Page, png: bytes) -> bytes:
    """The picture with a palette."""
    found = page.evaluate(QUANTIZE, f"data:image/png;base64,{base64.b64encode(png).decode()}")
    width, height = found["width"], found["height"]
    indices = base64.b64decode(found["indices"])
    rows = b"".join(b"\0" + indices[row * width : (row + 1) * width] for row in range(height))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", bytes(found["palette"])),
            _chunk(b"IDAT", zlib.compress(rows, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


if __name__ == "__main__":
    main()
