"""storefront art: the twin of every drawing, a GIF for mobile phones that know no SVG."""

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
COLOURS = 48  # with so many a twin of 96 by 96 weighs some 2,500 bytes
# The largest surfaces keep their very colours. Left to itself a quantiser gives all to the shades of the
# largest, and the reds of a small drawing turn grey.
KEPT = 20
OPAQUE = 128  # of 255; a GIF knows no half

Colour = tuple[int, int, int]


@click.command()
def art() -> None:
    """Draw the GIF of every SVG in static/art, which mobile phones get in its place."""
    if not IS_INSTALLED:
        raise click.ClickException("drawing needs more: pip install 'storefront[art]'")
    for drawing in sorted(ART.glob("*.svg")):
        file = drawing.with_suffix(".gif")
        size = file.write_bytes(twin(drawing))
        click.echo(f"{file}: {size:,} bytes")


def twin(drawing: Path) -> bytes:
    """The GIF of an SVG, as large as that says it is."""
    picture = rasterised(drawing)
    palette = _palette(picture)
    inks = Image.new("P", (1, 1))
    inks.putpalette(_flat(palette))
    made = picture.convert("RGB").quantize(palette=inks, dither=Image.Dither.NONE)
    clear = len(palette)
    made.paste(clear, mask=picture.getchannel("A").point(lambda alpha: 0 if alpha >= OPAQUE else 255))
    made.putpalette(_flat([*palette, (255, 255, 255)]))
    file = BytesIO()
    made.save(file, "GIF", transparency=clear, optimize=True)
    return file.getvalue()


def rasterised(drawing: Path) -> "Image.Image":
    """An SVG in pixels, of its own size."""
    png = resvg_py.svg_to_bytes(svg_path=str(drawing), skip_system_fonts=True)
    return Image.open(BytesIO(png)).convert("RGBA")


def surfaces(picture: "Image.Image") -> list[tuple[Colour, int]]:
    """How many pixels each colour has, the largest first."""
    bands = (band.tobytes() for band in picture.convert("RGBA").split())
    opaque = [(red, green, blue) for red, green, blue, alpha in zip(*bands, strict=True) if alpha >= OPAQUE]
    return Counter(opaque).most_common()


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


def _flat(colours: list[Colour]) -> list[int]:
    return [part for colour in colours for part in colour]
