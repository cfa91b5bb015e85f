"""The drawing of the flow in a real browser, in light and in dark: its texts stay in their boxes."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.botpress.cards import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.browser

PICTURES: Final = ["flow.svg", "flow.en.svg"]
BROWSERS: Final = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
FLAGS: Final = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--virtual-time-budget=8000", "--dump-dom"),
]
DARK: Final = ["--blink-settings=preferredColorScheme=0"]

MEASURE: Final = """
const edges = (node) => { const b = node.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom] }
const svg = document.querySelector('svg')
const seen = {
  picture: edges(svg),
  boxes: [...svg.querySelectorAll('.box')].map((box) => ({
    edges: edges(box.querySelector('rect')),
    texts: [...box.querySelectorAll('text')].map((text) => ({ words: text.textContent, edges: edges(text) }))
  })),
  labels: [...svg.querySelectorAll('#arrows text')].map((text) => ({ words: text.textContent, edges: edges(text) })),
  paper: getComputedStyle(svg.querySelector('.paper')).fill,
  ink: getComputedStyle(svg.querySelector('.title')).fill
}
const image = new Image()
image.onload = () => {
  const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height })
  const pen = canvas.getContext('2d')
  pen.drawImage(image, 0, 0)
  const pixels = pen.getImageData(0, 0, canvas.width, canvas.height).data
  const colours = new Set()
  for (let i = 0; i < pixels.length; i += 4) colours.add(`${pixels[i]},${pixels[i + 1]},${pixels[i + 2]}`)
  seen.colours = colours.size
  document.body.innerHTML = ''
  document.body.append(Object.assign(document.createElement('pre'), { textContent: JSON.stringify(seen) }))
}
const drawing = document.querySelector('script[type=text]').textContent
image.src = 'data:image/svg+xml;charset=utf-8,' + encodeURIComponent(drawing)
"""


def look_at(picture: str, folder: Path, *more: str) -> dict[str, Any]:
    """Open the picture in Chromium and return positions in pixels, and colours."""
    drawing = (ROOT / "botpress" / picture).read_text(encoding="utf-8")
    page = folder / "page.html"
    parts = [drawing, f"<script type=text>{drawing}</script>", f"<script>{MEASURE}</script>"]
    page.write_text("<!doctype html><meta charset=utf-8><body>" + "".join(parts), encoding="utf-8")
    browser = next(found for name in BROWSERS if (found := shutil.which(name)))
    command = [browser, *FLAGS, *more, f"--user-data-dir={folder / 'profile'}", page.as_uri()]
    dom = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode()
    measured = re.search(r"<pre>(.*)</pre>", dom, re.DOTALL)
    assert measured, dom[:500]
    return dict(json.loads(html.unescape(measured[1])))


def inside(inner: list[float], outer: list[float]) -> bool:
    """Return True if one rectangle lies within another, with half a pixel of tolerance."""
    return all(a >= b - 0.5 for a, b in zip(inner[:2], outer[:2], strict=True)) and all(
        a <= b + 0.5 for a, b in zip(inner[2:], outer[2:], strict=True)
    )


def overlap(one: list[float], other: list[float]) -> bool:
    """Return True if two rectangles overlap by more than a pixel."""
    return min(one[2], other[2]) - max(one[0], other[0]) > 1 and min(one[3], other[3]) - max(one[1], other[1]) > 4


@pytest.mark.parametrize("picture", PICTURES)
def test_every_text_stays_in_its_box(picture: str, tmp_path: Path) -> None:
    """No text crosses the edge of its box or another text in the box."""
    seen = look_at(picture, tmp_path)
    assert len(seen["boxes"]) >= 14
    for box in seen["boxes"]:
        texts = box["texts"]
        assert [text["words"] for text in texts if not inside(text["edges"], box["edges"])] == []
        pairs = [(a, b) for i, a in enumerate(texts) for b in texts[:i]]
        assert [(a["words"], b["words"]) for a, b in pairs if overlap(a["edges"], b["edges"])] == []


@pytest.mark.parametrize("picture", PICTURES)
def test_labels_do_not_touch_boxes(picture: str, tmp_path: Path) -> None:
    """The label of an arrow touches no box and stays on the page; the picture is not blank."""
    seen = look_at(picture, tmp_path)
    for label in seen["labels"]:
        assert inside(label["edges"], seen["picture"]), label
        assert not any(overlap(label["edges"], box["edges"]) for box in seen["boxes"]), label
    assert seen["colours"] > 50


@pytest.mark.parametrize("picture", PICTURES)
def test_the_picture_is_readable_in_light_and_dark(picture: str, tmp_path: Path) -> None:
    """The title contrasts with the background in both colour schemes, and the schemes differ."""
    light, dark = look_at(picture, tmp_path), look_at(picture, tmp_path, *DARK)
    assert light["paper"] != dark["paper"]
    assert min(contrast(light["paper"], light["ink"]), contrast(dark["paper"], dark["ink"])) > 7


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two `rgb(r, g, b)` colours, as WCAG 2 defines it."""
    low, high = sorted(luminance(colour) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance of `rgb(r, g, b)`."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
