"""storefront art: the twin of every drawing, a GIF for mobile phones that know no SVG."""

import re
from collections import Counter
from io import BytesIO
from pathlib import Path

import click

from storefront import config

try:
    import resvg_py
    from PIL import Image
except ImportError:
    IS_INSTALLED = False
else:
    IS_INSTALLED = True

ART = config.folder("static") / "art"
SIZE = 96  # what pages show; a larger drawing is drawn no larger
# What browsers show and the GIF would lack, or have in black.
UNDRAWN = re.compile(r"<(?:\w+:)?(?:text|image|foreignObject)\b|\bvar\(")
COLOURS = 44  # with so many a twin of 96 by 96 stays below 2,600 bytes
# The largest surfaces keep their very colours. Left to itself a quantiser gives all to the shades of the
# largest, and the reds of a small drawing turn grey.
KEPT = 24
OPAQUE = 128  # of 255; a GIF knows no half

Colour = tuple[int, ...]  # red, green, blue
CLEAR: Colour = ()


@click.command()
def art() -> None:
    """Draw the GIF of every SVG in static/art, which mobile phones get in its place."""
    if not IS_INSTALLED:
        raise click.ClickException("drawing needs more: .venv/bin/pip install -e '.[art]'")
    for drawing in sorted(ART.glob("*.svg")):
        file = drawing.with_suffix(".gif")
        size = file.write_bytes(twin(drawing))
        click.echo(f"{file}: {size:,} bytes")


def twin(drawing: Path) -> bytes:
    """The GIF of an SVG, as large as that says it is, 96 pixels at most."""
    if undrawn := UNDRAWN.search(drawing.read_text("utf-8")):
        raise click.ClickException(f"{drawing}: {undrawn[0]} cannot be drawn: use shapes and plain colours")
    picture = rasterised(drawing)
    if not surfaces(picture):
        raise click.ClickException(f"{drawing}: nothing is drawn in it")
    palette = _palette(picture)
    inks = {colour: _nearest(colour, palette) for colour, _ in surfaces(picture)}
    clear = len(palette)
    made = Image.frombytes("P", picture.size, bytes(inks.get(pixel, clear) for pixel in _pixels(picture)))
    made.putpalette(_flat([*palette, (255, 255, 255)]))
    file = BytesIO()
    made.save(file, "GIF", transparency=clear, optimize=True)
    return file.getvalue()


def rasterised(drawing: Path) -> "Image.Image":
    """An SVG in pixels, of its own size, 96 at most."""
    picture = _drawn(drawing)
    return picture if max(picture.size) <= SIZE else _drawn(drawing, SIZE)


def _drawn(drawing: Path, size: int | None = None) -> "Image.Image":
    try:
        png = resvg_py.svg_to_bytes(svg_path=str(drawing), skip_system_fonts=True, width=size, height=size)
    except ValueError as error:
        raise click.ClickException(f"{drawing}: {error}") from error
    return Image.open(BytesIO(png)).convert("RGBA")


def surfaces(picture: "Image.Image") -> list[tuple[Colour, int]]:
    """How many pixels each colour has, the largest first."""
    return Counter(pixel for pixel in _pixels(picture) if pixel != CLEAR).most_common()


def _pixels(picture: "Image.Image") -> list[Colour]:
    """Row by row; CLEAR where nothing is drawn."""
    bands = (band.tobytes() for band in picture.convert("RGBA").split())
    return [tuple(colour) if alpha >= OPAQUE else CLEAR for *colour, alpha in zip(*bands, strict=True)]


def _palette(picture: "Image.Image") -> list[Colour]:
    """The colours of the largest surfaces, and what stands best for all others."""
    found = surfaces(picture)
    kept = [colour for colour, _ in found[:KEPT]]
    rest = _flat([colour for colour, pixels in found[KEPT:] for _ in range(pixels)])
    if not rest:
        return kept
    edges = Image.frombytes("RGB", (len(rest) // 3, 1), bytes(rest))
    shades = edges.quantize(COLOURS - 1 - KEPT, Image.Quantize.MEDIANCUT)
    return list(dict.fromkeys([*kept, *(colour for colour, _ in surfaces(shades))]))


def _nearest(colour: Colour, palette: list[Colour]) -> int:
    """Where it stands in the palette, or what is most like it."""
    away = [sum((one - other) ** 2 for one, other in zip(colour, ink, strict=True)) for ink in palette]
    return away.index(min(away))


def _flat(colours: list[Colour]) -> list[int]:
    return [part for colour in colours for part in colour]
